"""Tickets that belong together: merged with a way back, split, linked (itsm 3.5). Each effect is data, as everywhere."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from itsm.act import Act
from itsm.address import Address, is_mailbox
from itsm.decision import (
    AddEntry,
    ChangeTicket,
    Direction,
    Effect,
    KeepFollower,
    LinkTickets,
    Notify,
    OpenTicket,
    RemoveFollower,
    ReviseEntry,
    UnlinkTickets,
    Visibility,
)
from itsm.notification import Event
from itsm.person import Follower, FollowerKind, watchers
from itsm.ticket import FINAL_STATES, State, Ticket, number_text, parse_number
from rules.reopening import auto_close, stays_open
from rules.settings import RulesSettings
from rules.snapshot import ActSnapshot, Said

MERGED_CODE, MERGED_LINK = "merged", "merged_into"
MAX_MERGES = 8  # in a row
UNDO_DAYS = 30
SPLIT_HANDLE = -1


def survivor(ticket: Ticket, by_number: Mapping[int, Ticket]) -> Ticket:
    """The ticket that goes on in place of this one: itself unless it was merged; at most eight steps (mail case 16)."""
    for _ in range(MAX_MERGES):
        following = by_number.get(ticket.merged_into) if ticket.merged_into is not None else None
        if following is None:
            break
        ticket = following
    return ticket


def link(act: Act, ticket: Ticket, snapshot: ActSnapshot) -> list[Effect] | str:
    """A link to another ticket, or why not."""
    other = _named(act.arguments["to"], snapshot)
    return [LinkTickets(ticket_id=ticket.id, other_id=other.id, kind="related")] if isinstance(other, Ticket) else other


def _named(number: str, snapshot: ActSnapshot) -> Ticket | str:
    found = snapshot.others.get(parse_number(number) or 0)
    return found or f"there is no ticket {number}"


def merge(act: Act, ticket: Ticket, snapshot: ActSnapshot, actor: str, now: datetime) -> list[Effect] | str:
    """Close this ticket and point it at another, which its requester follows from now on; or why not."""
    named = _named(act.arguments["into"], snapshot)
    if isinstance(named, str):
        return named
    goal = survivor(named, snapshot.others)
    if goal.id == ticket.id:
        return f"{number_text(named.type, named.number)} was merged into this ticket"
    if goal.state in FINAL_STATES:
        return f"{number_text(goal.type, goal.number)} is {goal.state.value}: nothing can be merged into it"
    after = msgspec.structs.replace(
        ticket,
        state=State.CLOSED,
        resolution_code=MERGED_CODE,
        merged_into=goal.number,
        state_before_merge=ticket.state.value,
        closed_at=now,
        updated_at=now,
    )
    mine, theirs = number_text(ticket.type, ticket.number), number_text(goal.type, goal.number)
    effects: list[Effect] = [
        ChangeTicket(before=ticket, after=after, verb="merge", actor=actor),
        LinkTickets(ticket_id=ticket.id, other_id=goal.id, kind=MERGED_LINK),
        stays_open(ticket.id),
        _remark(goal, f"{mine} was merged into this ticket.", actor),
        *(KeepFollower(follower=each) for each in _followers(ticket, goal, snapshot, mine)),
    ]
    if ticket.requester:
        recipient = Address(name=ticket.requester_name, address=ticket.requester)
        facts = {"requester_name": ticket.requester_name, "into": theirs}
        effects.append(Notify(ticket_id=ticket.id, event=Event.MERGED, recipient=recipient, facts=facts))
    return effects


def _followers(ticket: Ticket, goal: Ticket, snapshot: ActSnapshot, mine: str) -> list[Follower]:
    """Requester and watchers of the merged ticket, as watchers of the one that goes on; `added_by` is how the undo finds them."""
    people = {each.address: each.name for each in watchers(snapshot.followers)}
    if ticket.requester:
        people[ticket.requester] = ticket.requester_name
    people.pop(goal.requester, None)
    return [Follower(ticket_id=goal.id, address=address, name=name, added_by=f"merge:{mine}") for address, name in people.items()]


def _remark(ticket: Ticket, text: str, actor: str) -> AddEntry:
    return AddEntry(ticket_id=ticket.id, direction=Direction.DESK, visibility=Visibility.INTERNAL, author=actor, verified=True, text=text)


def unmerge(ticket: Ticket, snapshot: ActSnapshot, settings: RulesSettings, actor: str, now: datetime) -> list[Effect] | str:
    """Undo a merge: the ticket is as it was, and its people follow the other no more; or why not."""
    if ticket.closed_at is not None and now - ticket.closed_at > timedelta(days=UNDO_DAYS):
        return f"it was merged more than {UNDO_DAYS} days ago"
    state = State(ticket.state_before_merge)
    resolved = state is State.RESOLVED
    after = msgspec.structs.replace(
        ticket,
        state=state,
        resolution_code="fixed" if resolved else "",
        merged_into=None,
        state_before_merge="",
        closed_at=None,
        updated_at=now,
    )
    effects: list[Effect] = [ChangeTicket(before=ticket, after=after, verb="unmerge", actor=actor)]
    if resolved:
        effects.append(auto_close(ticket.id, ticket.team, settings, now))
    goal = snapshot.others.get(ticket.merged_into or 0)
    if goal is not None:
        mine = number_text(ticket.type, ticket.number)
        effects += [
            UnlinkTickets(ticket_id=ticket.id, other_id=goal.id, kind=MERGED_LINK),
            _remark(goal, f"{mine} is a ticket of its own again.", actor),
            *(
                RemoveFollower(ticket_id=goal.id, address=each.address, kind=FollowerKind.WATCHER, actor=actor)
                for each in _followers(ticket, goal, snapshot, mine)
            ),
        ]
    return effects


def split(act: Act, ticket: Ticket, snapshot: ActSnapshot, actor: str, now: datetime) -> list[Effect] | str:
    """A ticket of its own for one mail on this one, whose writer is its requester and is told; or why not."""
    said = chosen(act, tuple(each for each in snapshot.said if each.direction is Direction.INBOUND))
    if said is None:
        return "there is no mail on the ticket to split off"
    author = said.author if is_mailbox(said.author) else ticket.requester
    name = said.author_name if is_mailbox(said.author) else ticket.requester_name
    fresh = msgspec.structs.replace(
        ticket, id=SPLIT_HANDLE, number=0, state=State.NEW, subject=act.arguments.get("subject") or said.subject or ticket.subject,
        requester=author, requester_name=name, assignee="", group_key="", severity="", event_count=0, reopen_count=0, pending_reason="",
        resolution_code="", suggested_for=None, opened_at=now, updated_at=now, resolved_at=None, version=1, trust=0, entered_by=actor,
    )  # fmt: skip
    words = AddEntry(
        ticket_id=SPLIT_HANDLE, direction=Direction.INBOUND, visibility=Visibility.PUBLIC, author=author, author_name=name, verified=True,
        subject=said.subject, text=said.text, note=f"Split off {number_text(ticket.type, ticket.number)}.",
    )  # fmt: skip
    effects: list[Effect] = [OpenTicket(ticket=fresh), words, LinkTickets(ticket_id=SPLIT_HANDLE, other_id=ticket.id, kind="split_from")]
    if said.visibility is Visibility.HELD:
        effects.append(ReviseEntry(ticket_id=ticket.id, entry_id=said.id, visibility=Visibility.DROPPED, verified=False, actor=actor))
    if author:
        facts = {"requester_name": name, "trusted": ""}
        effects.append(Notify(ticket_id=SPLIT_HANDLE, event=Event.ACKNOWLEDGED, recipient=Address(name=name, address=author), facts=facts))
    return effects


def chosen(act: Act, said: tuple[Said, ...]) -> Said | None:
    """The entry an act names, the newest when it names none."""
    wanted = act.arguments.get("entry")
    return next((each for each in reversed(said) if wanted in (None, str(each.id))), None)
