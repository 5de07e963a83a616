"""The desk as configuration names it: teams, agents and services."""

import msgspec


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


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the rules and the notifier may know of the desk; `address` is where replies go, `domain` mints Message-IDs."""

    name: str = "Service Desk"
    address: str = "desk@localhost"
    domain: str = "localhost"
    teams: tuple[Team, ...] = ()
    agents: tuple[Agent, ...] = ()
    services: tuple[Service, ...] = ()
    trusted_authserv_ids: tuple[str, ...] = ()
