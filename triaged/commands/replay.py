"""`triaged replay`: judge something again with the rules of today, and change nothing (dry run)."""

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from casework.context import Casework
from casework.handle import handle
from casework.part import Handled, Part
from intake.context import ParseContext
from intake.mail.signature import names_of_keys
from intake.parse import parse
from itsm.decision import OpenTicket
from itsm.errors import Permanent
from itsm.identifier import inbox_text
from itsm.signal import Parsed, UserMessage
from rules.authentication import is_to_be_verified
from store import dry_run, inbox, parts
from store.credentials import signing_keys
from store.inbox import InboxRow
from store.store import Store
from store.transaction import Tx
from triaged.access import find, opened
from triaged.composition import in_force
from triaged.explanation import reasons_text
from triaged.options import config_option, json_option
from triaged.output import data, data_json, talk


class _DryRunError(Exception):
    """Carries the result out of the transaction that is rolled back."""

    def __init__(self, handled: list[Handled]) -> None:
        super().__init__("dry run")
        self.handled = handled


@click.command("replay", short_help="Judge something again, without changing anything.")
@config_option
@json_option
@click.argument("id_", metavar="ID")
def command(id_: str, as_json: bool) -> int:
    """Parse and judge ID again with the configuration and the world of today; nothing is written, nobody is told, and DNS is not asked.

    ID is an inbox id (in-123), a Message-ID, or a ticket number: then everything that made the ticket is judged again.
    """
    with opened() as (store, found):
        keys = store.write(signing_keys).result()
        current = in_force(found.configuration, keys)
        rows = store.read(lambda tx: _envelopes(tx, id_))
        for row in rows:
            mapping = current.mappings.get(row.envelope.source)
            raw = store.read(lambda tx, inbox_id=row.envelope.id: inbox.raw_bytes(tx, [inbox_id])).get(row.envelope.id)  # type: ignore[misc]  # mypy sees no default here
            if raw is None:
                raise Permanent(f"the bytes of {inbox_text(row.envelope.id)} were removed by retention")
            context = ParseContext(
                source=row.envelope.source, received_at=row.envelope.received_at, mapping=mapping, return_path=row.envelope.reverse_path
            )
            signals = parse(row.envelope.format, raw, context)
            verdicts = store.read(lambda tx, inbox_id=row.envelope.id: verdicts_of(tx, inbox_id))  # type: ignore[misc]  # the same
            if not verdicts and names_of_keys(raw) and is_to_be_verified(row.envelope, current.casework.trust):
                talk(f"{inbox_text(row.envelope.id)} has a DKIM signature of which no verdict is kept: it is judged as without one.")
            asked = [
                Part(envelope=row.envelope, seq=seq, signal=as_verified(signal, verdicts.get(seq, "")))
                for seq, signal in enumerate(signals)
            ]
            _show(row, judged(store, asked, current.casework), as_json)
    talk("This was a dry run: nothing was changed.")
    return 0


def _envelopes(tx: Tx, id_: str) -> Sequence[InboxRow]:
    named = find(tx, id_)
    if named.ticket is None:
        return named.envelopes
    ids = dict.fromkeys(row.inbox_id for row in parts.of_ticket(tx, named.ticket.id))
    return [row for each in ids if (row := inbox.find(tx, each)) is not None]


def verdicts_of(tx: Tx, inbox_id: int) -> dict[int, str]:
    """By part whose DKIM signature held when it was judged, "" for nobody's; parts without reasons are missing."""
    return {row.seq: row.reasons.signed_by for row in parts.of_inbox(tx, inbox_id) if row.reasons is not None}


def as_verified(signal: Parsed, domain: str) -> Parsed:
    """A mail as it was when its signature was verified: its key may be gone since, so DNS is not asked again."""
    return msgspec.structs.replace(signal, signed_by=domain) if isinstance(signal, UserMessage) else signal


def judged(store: Store, asked: Sequence[Part], casework: Casework) -> list[Handled]:
    """What `handle` says of the parts, in a transaction that forgets what became of them before and is rolled back."""

    def work(tx: Tx) -> None:
        dry_run.forget(tx, {part.envelope.id for part in asked})
        raise _DryRunError(handle(tx, asked, casework))

    try:
        store.write(work).result()
    except _DryRunError as done:
        return done.handled
    raise AssertionError("a dry run always rolls back")


def _show(row: InboxRow, handled: Sequence[Handled], as_json: bool) -> None:
    for each in handled:
        if as_json:
            data_json(_object(row, each))
            continue
        outcome = each.outcome.value if each.outcome else "it would wait for the mail it answers"
        data(f"{inbox_text(row.envelope.id)} part {each.part.seq}: {outcome}{_opened(each)}")
        if each.decision is not None:
            data("\n".join(f"    {line}" for line in reasons_text(each.decision.reasons)))


def _opened(handled: Handled) -> str:
    effects = handled.decision.effects if handled.decision else ()
    return "".join(
        f", opens {each.ticket.type.value} P{each.ticket.priority} for {each.ticket.team or 'no team'}"
        for each in effects
        if isinstance(each, OpenTicket)
    )


def _object(row: InboxRow, handled: Handled) -> dict[str, Any]:
    return {
        "inbox_id": inbox_text(row.envelope.id),
        "part": handled.part.seq,
        "outcome": handled.outcome.value if handled.outcome else None,
        "reasons": handled.decision.reasons if handled.decision else None,
        "effects": [type(effect).__name__ for effect in handled.decision.effects] if handled.decision else [],
    }
