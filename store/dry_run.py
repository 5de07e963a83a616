"""For a dry run: forget what became of envelopes, in a transaction that the caller rolls back."""

from collections.abc import Iterable

from sqlalchemy import delete, update

from store.chunking import in_lists
from store.inbox import PENDING
from store.schema import inbox, mail_seen, mail_thread, part
from store.transaction import Tx


def forget(tx: Tx, inbox_ids: Iterable[int]) -> None:
    """Make these envelopes as if they had just come in: no outcome, no memory of their mails. Never commit this."""
    for some in in_lists(sorted(set(inbox_ids))):
        tx.connection.execute(delete(part).where(part.c.desk_id == tx.desk_id, part.c.inbox_id.in_(some)))
        for table in (mail_seen, mail_thread):
            tx.connection.execute(delete(table).where(table.c.desk_id == tx.desk_id, table.c.inbox_id.in_(some)))
        fresh = {"state": PENDING, "outcomes": "", "part_count": 0, "reason": None, "done_at": None}
        tx.connection.execute(update(inbox).where(inbox.c.desk_id == tx.desk_id, inbox.c.id.in_(some)).values(**fresh))
