"""The checks of `triaged doctor` that go to IMAP servers and issuers of tokens: connect, log in, open the folders."""

from collections.abc import Iterator
from pathlib import Path

from intake.imap.check import examine
from intake.imap.settings import Mailbox
from itsm.errors import TriagedError
from store import mailboxes as stored
from store.store import Store
from triaged import clock
from triaged.checkup_result import FAIL, OK, WARN, Result
from triaged.configuration import Configuration
from triaged.oauth.source import TokenSource


def mailboxes(configuration: Configuration) -> Iterator[Result]:
    """One result a token and a mailbox, and one for what lies skipped."""
    if not configuration.intake.mailbox and not configuration.oauth:
        return
    try:
        store = Store(configuration.store, clock=clock.now, description="doctor") if Path(configuration.store.path).exists() else None
    except TriagedError as error:
        yield Result(state=WARN, name="mailboxes", message=f"not looked at: {error}")
        return
    try:
        tokens = {each.name: TokenSource(each, store) for each in configuration.oauth} if store is not None else {}
        for source in tokens.values():
            yield _token(source)
        for mailbox in configuration.intake.mailbox:
            yield _mailbox(mailbox, tokens)
        if store is not None:
            yield from _skipped(store)
    finally:
        if store is not None:
            store.close()


def _token(source: TokenSource) -> Result:
    name = f"oauth {source.settings.name}"
    try:
        source.token()
    except TriagedError as error:
        return Result(state=FAIL, name=name, message=str(error), advice="check [[oauth]], the issuer, and the secret's own end")
    return Result(state=OK, name=name, message="there is a token")


def _mailbox(mailbox: Mailbox, tokens: dict[str, TokenSource]) -> Result:
    name = f"mailbox {mailbox.name}"
    if mailbox.oauth and mailbox.oauth not in tokens:
        return Result(state=WARN, name=name, message="its token lies in the store, which is not there yet", advice="start triaged once")
    try:
        said = examine(mailbox, tokens.get(mailbox.oauth))
    except TriagedError as error:
        return Result(state=FAIL, name=name, message=str(error), advice="check [[intake.mailbox]], the account and the network")
    return Result(state=OK, name=name, message=said)


def _skipped(store: Store) -> Iterator[Result]:
    for name, count in store.read(stored.skipped_counts).items():
        message = f"{count} mails lie on the server and were not fetched"
        yield Result(state=WARN, name=f"mailbox {name}", message=message, advice="triaged queue list --of skipped")
