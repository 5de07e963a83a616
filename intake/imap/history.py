"""Mail that was in a mailbox before we came: known by its header, so that it threads and makes no ticket (design 7)."""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from casework.apply import participants_hash
from intake.imap.session import Selected, Session
from intake.imap.settings import Mailbox
from intake.mail.parse import parse_mail
from itsm.address import canonical
from itsm.signal import DeliveryReport
from store import mailboxes
from store.store import Store
from store.threads import MailSeen, key_of
from store.transaction import Tx

MAX_MAILS = 10_000
MAX_AGE = timedelta(days=90)
CHUNK = 200
UNKNOWN_CONTENT = b""  # only the header was read: it equals no mail by content, and any by its Message-ID and people


def record(session: Session, store: Store, mailbox: Mailbox, selected: Selected, *, hold: Callable[[Tx], None]) -> datetime | None:
    """Record the newest 10,000 mails of 90 days, a chunk a commit; doing it again changes nothing. Returns the latest INTERNALDATE.

    Mail since `import_since` is left out: it is taken as new.
    """
    since = mailbox.imports_since
    newest: datetime | None = None
    uids = deque(session.uids(1, selected.uid_next - 1, since=store.clock() - MAX_AGE), maxlen=MAX_MAILS)
    ordered = list(uids)
    for at in range(0, len(ordered), CHUNK):
        found = session.headers(ordered[at : at + CHUNK])
        newest = max([received for _, received in found.values()] + ([newest] if newest else []), default=None)
        older = [(header, received) for header, received in found.values() if since is None or received < since]
        seen = [each for header, received in older if (each := _seen(header, received, store.new_id())) is not None]

        def work(tx: Tx, some: list[MailSeen] = seen) -> int:
            hold(tx)
            return mailboxes.remember_history(tx, some)

        store.write(work).result()
    return newest


def _seen(header: bytes, received_at: datetime, inbox_id: int) -> MailSeen | None:
    """What threading and sameness need of a mail; None when it has no Message-ID."""
    parsed = parse_mail(header)
    message = parsed.message if isinstance(parsed, DeliveryReport) else parsed
    if message.message_id is None:
        return None
    return MailSeen(
        key_sha256=key_of(message.message_id),
        inbox_id=inbox_id,
        content_sha256=UNKNOWN_CONTENT,
        participants_sha256=participants_hash(message),
        ticket_id=None,
        author=canonical(message.sender.address) if message.sender else "",
        received_at=received_at,
    )
