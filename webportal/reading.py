"""The endpoints that read. Each runs in one read transaction and sees only what its principal may see."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from itsm.envelope import MAIL_FORMAT, Channel
from itsm.errors import Permanent
from itsm.permission import EVERYTHING, Owned, owned
from itsm.ticket import Ticket, number_text
from itsm.words import terms
from store import entries, history, inbox, outbox, parts, series_rows, tickets
from store.inbox import InboxRow
from store.outbox import OutboxRow
from store.parts import PartRow
from store.transaction import Tx
from webportal import cursor, present, shapes
from webportal.asking import AlertQuery, AnyAsk, Ask, InboxQuery, Nothing, OutboxQuery, Paged, TicketQuery

Row = TypeVar("Row")
TICKETS, ENVELOPES, ALERTS, NOTIFICATIONS = "t", "e", "a", "n"  # the letters of the lists in cursors


class Page:
    """One page of a list: where it begins, how long it is, and the cursor after it."""

    def __init__(self, query: Paged, page_limit: int, kind: str) -> None:
        """Raises MalformedInput for a cursor of another list."""
        self.limit = query.limit or page_limit
        self.start = cursor.read(query.cursor, kind) if query.cursor is not None else None
        self._kind = kind

    def after(self, rows: Sequence[Row], identifier: Callable[[Row], int]) -> str | None:
        """The cursor after these rows; None when they were fewer than asked for."""
        return cursor.written(identifier(rows[-1]), self._kind) if len(rows) == self.limit else None


def list_tickets(tx: Tx, ask: Ask[TicketQuery, Nothing]) -> shapes.TicketPage:
    """Tickets of a query, the newest first."""
    query, page = ask.query, Page(ask.query, ask.page_limit, TICKETS)
    rows = tickets.listed(
        tx,
        state=query.status,
        type_=query.type.value if query.type else None,
        requester=query.requester,
        terms=None if query.q is None else terms(query.q),
        visible=ask.principal.visible,
        before_id=page.start,
        limit=page.limit,
    )
    others = _named(tx, ask, rows)
    items = tuple(shapes.TicketShown(**present.ticket_fields(each, others)) for each in rows)  # type: ignore[arg-type]  # fields by name
    return shapes.TicketPage(items=items, cursor=page.after(rows, lambda each: each.id))


def show_ticket(tx: Tx, ask: Ask[Nothing, Nothing]) -> shapes.TicketWhole:
    """One ticket with everything said and done on it."""
    found = ticket_of(tx, ask)
    links = tickets.links_of(tx, found.id)
    others = tickets.by_ids(tx, [other for other, _ in links])
    seen = {each: other for each, other in others.items() if ask.sees(other)}
    desk_only = ask.principal.visible.source is not None  # a source is not of the desk: what is said among agents is not for it
    words = [each for each in entries.of_ticket(tx, found.id) if each.visibility == "public" or not desk_only]
    return shapes.TicketWhole(
        **present.ticket_fields(found, _named(tx, ask, [found])),  # type: ignore[arg-type]  # fields by name
        messages=tuple(present.message(each) for each in words),
        history=tuple(present.history(each) for each in history.of_stream(tx, f"ticket:{found.id}")),
        alerts=tuple(present.alert(each) for each in series_rows.of_ticket(tx, found.id)),
        links=tuple(
            shapes.Link(kind=kind, ticket=number_text(seen[other].type, seen[other].number)) for other, kind in links if other in seen
        ),
        clocks=(),
        decisions=tuple(present.part(each) for each in parts.of_ticket(tx, found.id)),
        notifications=tuple(present.notification(each) for each in outbox.listed(tx, ticket_id=found.id, limit=200)),
    )


def ticket_of(tx: Tx, ask: AnyAsk) -> Ticket:
    """The ticket of the path; raises Permanent (404) where there is none, or none that is seen."""
    number = ask.ticket_number()
    found = tickets.by_numbers(tx, [number]).get(number)
    if found is None or not ask.sees(found):
        raise Permanent(f"there is no ticket number {number}", status=404)
    return found


def shown(tx: Tx, ask: AnyAsk, ticket: Ticket) -> shapes.TicketShown:
    """A ticket as acts answer it."""
    return shapes.TicketShown(**present.ticket_fields(ticket, _named(tx, ask, [ticket])))  # type: ignore[arg-type]  # fields by name


def _named(tx: Tx, ask: AnyAsk, rows: Iterable[Ticket]) -> dict[int, Ticket]:
    """The tickets that these name and the principal sees, by number."""
    numbers = {number for each in rows for number in (each.suggested_for, each.merged_into) if number is not None}
    return {number: each for number, each in tickets.by_numbers(tx, numbers).items() if ask.sees(each)}


def list_inbox(tx: Tx, ask: Ask[InboxQuery, Nothing]) -> shapes.EnvelopePage:
    """Envelopes of a Message-ID, or in a state."""
    query, page, visible = ask.query, Page(ask.query, ask.page_limit, ENVELOPES), ask.principal.visible
    message_id = (query.message_id or "").strip().strip("<>")
    if message_id:
        rows = inbox.find_by_message_id(tx, message_id, limit=page.limit, visible=visible, after_id=page.start)
    else:
        rows = inbox.listed(tx, query.state, limit=page.limit, visible=visible, before_id=page.start)
    items = tuple(present.envelope(each) for each in rows)
    return shapes.EnvelopePage(items=items, cursor=page.after(rows, lambda each: each.envelope.id))


def show_envelope(tx: Tx, ask: Ask[Nothing, Nothing]) -> shapes.EnvelopeShown:
    """One envelope with the outcome of each part."""
    row, found = envelope_of(tx, ask)
    return present.envelope(row, found)


def show_envelope_raw(tx: Tx, ask: Ask[Nothing, Nothing]) -> bytes:
    """The bytes as they came; 404 when retention has removed them."""
    row, _ = envelope_of(tx, ask)
    body = inbox.raw_bytes(tx, [row.envelope.id]).get(row.envelope.id)
    if body is None:
        raise Permanent(f"the bytes of {ask.path['id']} are gone: retention removed them", status=404)
    return body


def envelope_of(tx: Tx, ask: AnyAsk) -> tuple[InboxRow, Sequence[PartRow]]:
    """The envelope of the path with those of its parts that are seen; raises Permanent (404) where nothing is."""
    inbox_id = ask.inbox_id()
    row = inbox.find(tx, inbox_id)
    found = parts.of_inbox(tx, inbox_id) if row is not None else ()
    if row is not None and ask.principal.visible != EVERYTHING:
        theirs = tickets.by_ids(tx, [each.ticket_id for each in found if each.ticket_id is not None])
        own = ask.sees(_owned(row))
        found = [each for each in found if (own if each.ticket_id not in theirs else ask.sees(theirs[each.ticket_id]))]
        row = row if own or found else None
    if row is None:
        raise Permanent(f"there is no {ask.path['id']}", status=404)
    return row, found


def _owned(row: InboxRow) -> Owned:
    """Whose an envelope is by itself: that of the source that posted it."""
    envelope = row.envelope
    return Owned(source=envelope.source if envelope.channel is Channel.HTTP and envelope.format != MAIL_FORMAT else "")


def list_alerts(tx: Tx, ask: Ask[AlertQuery, Nothing]) -> shapes.AlertPage:
    """Open alerts, the newest first."""
    page = Page(ask.query, ask.page_limit, ALERTS)
    rows = series_rows.open_by_source(tx, limit=page.limit, source=ask.query.source, visible=ask.principal.visible, before_id=page.start)
    return shapes.AlertPage(items=tuple(present.alert(each) for each in rows), cursor=page.after(rows, lambda each: each.state.id))


def list_outbox(tx: Tx, ask: Ask[OutboxQuery, Nothing]) -> shapes.NotificationPage:
    """Notifications, the newest first."""
    page = Page(ask.query, ask.page_limit, NOTIFICATIONS)
    state = ask.query.state.value if ask.query.state else None
    rows = outbox.listed(tx, state=state, visible=ask.principal.visible, before_id=page.start, limit=page.limit)
    items = tuple(present.notification(each) for each in rows)
    return shapes.NotificationPage(items=items, cursor=page.after(rows, lambda each: each.notification.id))


def show_notification(tx: Tx, ask: Ask[Nothing, Nothing]) -> shapes.NotificationShown:
    """One notification."""
    return present.notification(notification_of(tx, ask))


def show_notification_raw(tx: Tx, ask: Ask[Nothing, Nothing]) -> bytes:
    """The mail as it is sent; 404 while it is not rendered, and when retention has removed it."""
    row = notification_of(tx, ask)
    body = outbox.rendered_bytes(tx, [row.notification.id]).get(row.notification.id)
    if body is None:
        raise Permanent(f"the bytes of {ask.path['id']} are not there: not rendered yet, or removed by retention", status=404)
    return body


def notification_of(tx: Tx, ask: AnyAsk) -> OutboxRow:
    """The notification of the path, seen with its ticket; raises Permanent (404) where there is none."""
    row = outbox.find(tx, ask.outbox_id())
    if row is not None:
        ticket = tickets.by_ids(tx, [row.notification.ticket_id]).get(row.notification.ticket_id)
        if ask.sees(owned(ticket) if ticket is not None else Owned()):
            return row
    raise Permanent(f"there is no notification {ask.path['id']}", status=404)
