"""The desk as configuration names it: teams, agents and services."""

from functools import cached_property

import msgspec

from itsm.address import canonical


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """A team: `addresses` are the help desk addresses it answers for, `notify` where its notices go ("" records them only)."""

    key: str
    name: str
    addresses: tuple[str, ...] = ()
    notify: str = ""


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """A person who works tickets, known by `address` and `aliases`; notices go to `address`. An `auditor` reads and never acts.

    Through the API an agent with `organisations` sees only tickets of their requesters; without any, all.
    """

    key: str
    name: str
    address: str
    teams: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    role: str = "agent"
    organisations: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address the agent writes from."""
        return (self.address, *self.aliases)


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service of the catalogue; `tier` 1 is the most critical of 4 and bounds the impact of its alerts."""

    key: str
    name: str
    team: str = ""
    tier: int = 3


class Desk(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Everything the rules and the notifier may know of the desk; `address` is where replies go, `domain` mints Message-IDs."""

    name: str = "Service Desk"
    address: str = "desk@localhost"
    domain: str = "localhost"
    teams: tuple[Team, ...] = ()
    agents: tuple[Agent, ...] = ()
    services: tuple[Service, ...] = ()
    trusted_authserv_ids: tuple[str, ...] = ()

    @cached_property
    def team_of_key(self) -> dict[str, Team]:
        """Each team by its key."""
        return {team.key: team for team in reversed(self.teams)}

    @cached_property
    def team_of_address(self) -> dict[str, str]:
        """The key of the team that answers for each canonical address; the first that names it."""
        return {canonical(address): team.key for team in reversed(self.teams) for address in team.addresses}

    @cached_property
    def own_addresses(self) -> frozenset[str]:
        """Every canonical address that is the desk's or a team's: mail to or from them is never a person's."""
        written = (self.address, *(address for team in self.teams for address in (*team.addresses, team.notify) if address))
        return frozenset(canonical(address) for address in written)

    @cached_property
    def inner_addresses(self) -> frozenset[str]:
        """Those, and every address that an agent writes from."""
        return self.own_addresses | {canonical(address) for agent in self.agents for address in agent.addresses}
