"""Who is told: the agent who has the ticket, else the team's address, else nobody and it says so."""

from itsm.address import Address, canonical
from itsm.envelope import Envelope
from itsm.service import Desk, Team
from itsm.signal import UserMessage
from itsm.ticket import Ticket

NO_TEAM_ADDRESS = "the team has no address for notices"


def team_by_key(desk: Desk, key: str) -> Team | None:
    """The team with that key, or None."""
    return next((team for team in desk.teams if team.key == key), None)


def team_addressed(desk: Desk, message: UserMessage, envelope: Envelope) -> str:
    """The key of the team a mail was sent to: envelope recipients first, then To and Cc; else the first team; else ""."""
    written = [*envelope.forward_paths, *(each.address for each in (*message.to, *message.cc))]
    owners = {canonical(address): team.key for team in reversed(desk.teams) for address in team.addresses}
    for address in written:
        if canonical(address) in owners:
            return owners[canonical(address)]
    return default_team(desk)


def default_team(desk: Desk) -> str:
    """The key of the first configured team: nothing is without an owner; "" only when the desk has no team."""
    return desk.teams[0].key if desk.teams else ""


def team_recipient(desk: Desk, ticket: Ticket) -> tuple[Address, str | None]:
    """Where a notice to those who work the ticket goes, and why it must not be sent (None: it may)."""
    for agent in desk.agents:
        if ticket.assignee and agent.key == ticket.assignee:
            return Address(name=agent.name, address=agent.address), None
    team = team_by_key(desk, ticket.team)
    if team is None or not team.notify:
        return Address(name=team.name if team else "", address=""), NO_TEAM_ADDRESS
    return Address(name=team.name, address=team.notify), None


def our_addresses(desk: Desk) -> frozenset[str]:
    """Every address that is ours: mail to or from them is never a person's."""
    written = [desk.address, *(address for team in desk.teams for address in (*team.addresses, team.notify) if address)]
    return frozenset(canonical(address) for address in written)
