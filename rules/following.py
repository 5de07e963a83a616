"""Who follows a ticket, and what becomes of mails that were held: acts of the desk, and of the requester on their own ticket."""

from datetime import datetime, timedelta

from itsm.act import Act, ActorKind, Verb
from itsm.address import canonical
from itsm.decision import Effect, KeepFollower, RemoveFollower, ReviseEntry, Visibility
from itsm.person import Follower, FollowerKind, watchers
from itsm.service import Desk
from itsm.ticket import Ticket
from rules.authority import agent_of
from rules.merging import chosen
from rules.reopening import wake
from rules.snapshot import ActSnapshot

MAX_WATCHERS = 50


def watch(act: Act, ticket: Ticket, snapshot: ActSnapshot, desk: Desk, actor: str) -> list[Effect] | str:
    """Somebody gets what the requester gets, by this act alone: a Cc never does it (A14); or why not."""
    address = canonical(act.arguments["address"])
    if act.verb is Verb.UNWATCH:
        return [RemoveFollower(ticket_id=ticket.id, address=address, kind=FollowerKind.WATCHER, actor=actor)]
    if address == ticket.requester:
        return f"{address} is the requester"
    if address in desk.own_addresses:
        return f"{address} is an address of the desk"
    others = {each.address for each in watchers(snapshot.followers)} - {address}
    if len(others) >= MAX_WATCHERS:
        return f"the ticket has {MAX_WATCHERS} watchers already"
    name = act.arguments.get("name", "")
    return [KeepFollower(follower=Follower(ticket_id=ticket.id, address=address, name=name, added_by=actor))]


def mute(act: Act, ticket: Ticket, desk: Desk, actor: str, now: datetime) -> list[Effect] | str:
    """The agent gets no notices of this ticket for a while; or why not."""
    agent = next((each for each in desk.agents if act.actor.kind is ActorKind.AGENT and each.key == act.actor.name), None)
    if agent is None:
        return "only an agent with an address gets notices that can be muted"
    until = now + timedelta(hours=int(act.arguments["hours"]))
    address = canonical(agent.address)
    return [KeepFollower(follower=Follower(ticket_id=ticket.id, address=address, kind=FollowerKind.MUTED, until=until, added_by=actor))]


def settle_held(act: Act, ticket: Ticket, snapshot: ActSnapshot, desk: Desk, actor: str, now: datetime) -> list[Effect] | str:
    """A held mail is taken in, with what it would have done had it been trusted, or put aside; or why not."""
    said = chosen(act, tuple(each for each in snapshot.said if each.visibility is Visibility.HELD))
    if said is None:
        return "no mail is held on the ticket" if "entry" not in act.arguments else "no held mail has that id"
    if act.verb is Verb.DROP:
        return [ReviseEntry(ticket_id=ticket.id, entry_id=said.id, visibility=Visibility.DROPPED, verified=False, actor=actor)]
    ours = agent_of(desk, said.author) is not None
    seen = Visibility.INTERNAL if ours else Visibility.PUBLIC
    taken = ReviseEntry(ticket_id=ticket.id, entry_id=said.id, visibility=seen, verified=not ours, actor=actor)
    return [taken] if ours else [taken, *wake(ticket, actor, now)]
