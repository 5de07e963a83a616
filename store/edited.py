"""Mending what is quarantined: new bytes are a new envelope that names the old one (design 8, queue edit)."""

from itsm.envelope import Envelope
from itsm.errors import Conflict
from itsm.identifier import inbox_text
from store import inbox
from store.inbox import QUARANTINED, Arrived, InboxRow
from store.transaction import Tx


def replace(tx: Tx, row: InboxRow, body: bytes) -> int:
    """Store the bytes as a new envelope, drop the old one, return the new id; raises Conflict when it is not in quarantine."""
    old = row.envelope
    if row.state != QUARANTINED:
        raise Conflict(f"{inbox_text(old.id)} is not in quarantine")
    fields = {name: getattr(old, name) for name in old.__struct_fields__}
    new = Envelope(**fields | {"id": tx.new_id(), "size_bytes": len(body), "edited_from": old.id})
    [new_id] = inbox.add_many(tx, [Arrived(envelope=new, body=body)])
    if not inbox.drop(tx, old.id, f"edited: {inbox_text(new_id)}"):
        raise Conflict(f"{inbox_text(old.id)} left the quarantine meanwhile")
    return new_id
