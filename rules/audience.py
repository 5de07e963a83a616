"""Who is told: the agent who has the ticket, else its team at one address or each of its agents, else nobody and it says so."""

import msgspec

from itsm.address import Address, canonical
from itsm.envelope import Envelope
from itsm.service import Agent, Desk, Team
from itsm.signal import UserMessage
from itsm.ticket import Ticket

NO_TEAM_ADDRESS = "the team has no address for notices and no agents"
MUTED = "the agent muted this ticket for a while"
MAX_COPIES = 50  # of one notice
MAX_TEAMS = 5  # that one mail may open tickets for


def team_by_key(desk: Desk, key: str) -> Team | None:
    """The team with that key, or None."""
    return desk.team_of_key.get(key)


def team_addressed(desk: Desk, message: UserMessage, envelope: Envelope) -> str:
    """The key of the team a mail was sent to: envelope recipients first, then To and Cc; else the first team; else ""."""
    return teams_addressed(desk, message, envelope.forward_paths)[0]


def teams_addressed(desk: Desk, message: UserMessage, forward_paths: tuple[str, ...]) -> tuple[str, ...]:
    """The keys of every team a mail was sent to, by its envelope recipients where they name one, else by To and Cc; never none."""
    owners = desk.team_of_address
    for written in (forward_paths, tuple(each.address for each in (*message.to, *message.cc))):
        found = tuple(dict.fromkeys([owner for each in written if (owner := owners.get(canonical(each))) is not None]))
        if found:
            return found[:MAX_TEAMS]
    return (default_team(desk),)


def default_team(desk: Desk) -> str:
    """The key of the first configured team: nothing is without an owner; "" only when the desk has no team."""
    return desk.teams[0].key if desk.teams else ""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One reader of a notice: an agent by key, who can answer it, or a team's address; and why it must not be sent (None: it may)."""

    recipient: Address
    agent: str = ""
    suppressed_because: str | None = None


def team_recipients(desk: Desk, ticket: Ticket, muted: frozenset[str] = frozenset()) -> tuple[Told, ...]:
    """Who works the ticket: its assignee alone; else its team at the one address it chose, else each of its agents; never no row."""
    for agent in desk.agents:
        if ticket.assignee and agent.key == ticket.assignee:
            return (_agent(agent, muted),)
    team = team_by_key(desk, ticket.team)
    if team is not None and team.notify:
        return (Told(recipient=Address(name=team.name, address=team.notify)),)
    members = tuple(_agent(agent, muted) for agent in desk.agents if team is not None and team.key in agent.teams)
    nobody = Told(recipient=Address(name=team.name if team else "", address=""), suppressed_because=NO_TEAM_ADDRESS)
    return members[:MAX_COPIES] or (nobody,)


def _agent(agent: Agent, muted: frozenset[str]) -> Told:
    because = MUTED if canonical(agent.address) in muted else None
    return Told(recipient=Address(name=agent.name, address=agent.address), agent=agent.key, suppressed_because=because)
