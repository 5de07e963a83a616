"""What a principal may see, as conditions of a query: filtered before anything is counted, ordered or cut (attacks A49, A50).

Each is the same judgement as `itsm.permission.Visible.includes`; tests hold the two equal.
"""

from sqlalchemy import ColumnElement, and_, exists, or_

from itsm.envelope import MAIL_FORMAT, Channel
from itsm.permission import Visible
from store.schema import inbox, outbox, part, series, ticket

Conditions = tuple[ColumnElement[bool], ...]


def of_tickets(visible: Visible) -> Conditions:
    """Of the table `ticket`; the condition of partial index `ticket_organisation` is said too."""
    found: list[ColumnElement[bool]] = []
    if visible.organisations is not None:
        found += [ticket.c.organisation.in_(visible.organisations), ticket.c.organisation != ""]
    if visible.source is not None:
        found += [ticket.c.source == visible.source, ticket.c.group_key != ""]
    return tuple(found)


def of_notifications(visible: Visible) -> Conditions:
    """Of the table `outbox`: a notification is seen with its ticket."""
    seen = of_tickets(visible)
    if not seen:
        return ()
    return (exists().where(ticket.c.desk_id == outbox.c.desk_id, ticket.c.id == outbox.c.ticket_id, *seen),)


def of_envelopes(visible: Visible) -> Conditions:
    """Of the table `inbox`: an envelope is seen by the source that sent it, and with a ticket one of its parts went to."""
    seen = of_tickets(visible)
    if not seen:
        return ()
    of_part = and_(part.c.desk_id == inbox.c.desk_id, part.c.inbox_id == inbox.c.id)
    by_ticket = exists().where(of_part, ticket.c.desk_id == part.c.desk_id, ticket.c.id == part.c.ticket_id, *seen)
    if visible.source is None or visible.organisations is not None:
        return (by_ticket,)
    own = and_(inbox.c.source == visible.source, inbox.c.channel == Channel.HTTP.value, inbox.c.format != MAIL_FORMAT)
    return (or_(own, by_ticket),)


def of_series(visible: Visible) -> Conditions:
    """Of the table `series`: alerts belong to their source; to no organisation, so where those bound there is nothing to ask for."""
    return () if visible.source is None else (series.c.source == visible.source,)
