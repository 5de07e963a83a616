"""Opens the store for a command, and finds what people name: ticket numbers, inbox ids, Message-IDs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from itsm.errors import Permanent, Transient
from itsm.identifier import parse_inbox
from itsm.ticket import Ticket, parse_number
from store import inbox, outbox, refused, tickets
from store.inbox import InboxRow
from store.sqlite_backend import DATABASE_FILE
from store.store import Store
from store.transaction import Tx
from triaged import clock
from triaged.loading import Loaded
from triaged.options import loaded

NOT_FOUND_STATUS = 404


@contextmanager
def opened(*, create: bool = False, exclusive: bool = False) -> Iterator[tuple[Store, Loaded]]:
    """The store of the configuration in force; raises Transient when there is none and none may be made."""
    found = loaded()
    settings = found.configuration.store
    file = Path(settings.path) / DATABASE_FILE
    if not create and settings.postgres is None and not file.exists():
        raise Transient(
            f"there is no database at {file}: start the daemon once (`triaged run`), or name the right configuration with --config"
        )
    store = Store(settings, clock=clock.now, description="command", exclusive=exclusive)
    try:
        yield store, found
    finally:
        store.close()


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What an ID given by a person names: a ticket, or envelopes."""

    ticket: Ticket | None = None
    envelopes: tuple[InboxRow, ...] = ()


def find(tx: Tx, text: str) -> Named:
    """What ID names: `INC-1042`, `in-123` or a Message-ID; raises Permanent when there is no such thing."""
    inbox_id = parse_inbox(text)
    if inbox_id is not None:
        row = inbox.find(tx, inbox_id)
        if row is not None:
            return Named(envelopes=(row,))
        raise Permanent(f"there is no envelope {text}", status=NOT_FOUND_STATUS)
    if "@" in text:
        return _by_message_id(tx, text.strip().strip("<>"))
    return Named(ticket=ticket_named(tx, text))


def _by_message_id(tx: Tx, message_id: str) -> Named:
    rows = inbox.find_by_message_id(tx, message_id)
    if rows:
        return Named(envelopes=tuple(rows))
    raise Permanent(f"no mail with the Message-ID <{message_id}> was accepted", status=NOT_FOUND_STATUS)


def ticket_named(tx: Tx, text: str) -> Ticket:
    """The ticket of a number with any prefix; raises Permanent when there is none."""
    number = parse_number(text)
    if number is None:
        raise Permanent(
            f"{text!r} is no ID: write a ticket number (INC-1042), an inbox id (in-123) or a Message-ID", status=NOT_FOUND_STATUS
        )
    found = tickets.by_numbers(tx, [number]).get(number)
    if found is None:
        raise Permanent(f"there is no ticket {text}", status=NOT_FOUND_STATUS)
    return found


def row_number(text: str) -> int:
    """The number of a row of inbox (`in-123`) or outbox (`123`); raises Permanent for anything else."""
    number = (
        parse_inbox(text) if text.lower().startswith("in-") else int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
    )
    if number is None:
        raise Permanent(f"{text!r} is no id of a row: copy one from `triaged queue list`", status=NOT_FOUND_STATUS)
    return number


def outbox_named(tx: Tx, text: str) -> outbox.OutboxRow:
    """The row of the outbox with this id; raises Permanent when there is none."""
    found = outbox.find(tx, row_number(text))
    if found is None:
        raise Permanent(f"there is no row {text} in the outbox", status=NOT_FOUND_STATUS)
    return found


def refused_named(tx: Tx, text: str) -> refused.RefusedBody:
    """The refused body with this id; raises Permanent when there is none."""
    found = refused.find(tx, row_number(text))
    if found is None:
        raise Permanent(f"there is no refused body {text}: it is kept for a week, the newest of each source", status=NOT_FOUND_STATUS)
    return found
