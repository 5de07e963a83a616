"""Who may do what: what a door must prove to act in somebody's name (design 6), and what a principal of the API may see and do.

Which acts a state allows is in `itsm.lifecycle`.
"""

from enum import StrEnum

import msgspec

from itsm.act import Actor, ActorKind
from itsm.service import Desk
from itsm.ticket import Ticket

LEAST_TRUST: dict[ActorKind, int] = {
    ActorKind.REQUESTER: 1,  # authenticated mail, or a login
    ActorKind.AGENT: 2,  # a reply token bound to agent and ticket, or an API token
    ActorKind.OPERATOR: 2,  # the API token made at the first start; a CLI verb that holds the data directory has 3
    ActorKind.SYSTEM: 0,  # a timer or a rule: nobody outside can be one
}
ADMIN = "admin"  # the scope that has every scope


def refusal(actor: Actor) -> str:
    """Why this actor may not act at all, "" when it may. A source and anyone never act."""
    least = LEAST_TRUST.get(actor.kind)
    if least is None:
        return f"{actor.kind.value} may not act on tickets"
    if actor.trust < least:
        return f"to act as {actor.kind.value} takes trust level {least}, this has {actor.trust}"
    return ""


class Role(StrEnum):
    """What a principal is to the desk."""

    OPERATOR = "operator"
    AGENT = "agent"
    AUDITOR = "auditor"
    SOURCE = "source"


class Action(StrEnum):
    """What can be asked of the API."""

    SEND_MESSAGE = "send_message"
    READ_TICKET = "read_ticket"
    ACT = "act"
    ENTER = "enter"
    READ_ALERT = "read_alert"
    READ_QUEUE = "read_queue"
    CHANGE_QUEUE = "change_queue"


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """What an action takes: a scope of the token, and one of these roles."""

    scope: str
    roles: frozenset[Role]


_READERS = frozenset(Role)
_WORKERS = frozenset({Role.OPERATOR, Role.AGENT})
RIGHTS: dict[Action, Right] = {
    Action.SEND_MESSAGE: Right(scope="messages:write", roles=_WORKERS | {Role.SOURCE}),
    Action.READ_TICKET: Right(scope="tickets:read", roles=_READERS),
    Action.ACT: Right(scope="acts:write", roles=_WORKERS),
    Action.ENTER: Right(scope="acts:write", roles=_WORKERS),
    Action.READ_ALERT: Right(scope="alerts:read", roles=_READERS),
    Action.READ_QUEUE: Right(scope="queue:read", roles=_READERS),
    Action.CHANGE_QUEUE: Right(scope="queue:write", roles=_WORKERS),
}


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a thing is: the organisation of its requester and the monitoring source it came from, "" for none."""

    organisation: str = ""
    source: str = ""


class Visible(msgspec.Struct, frozen=True, kw_only=True):
    """What a principal sees: things of these organisations, of this source; None sets no bound."""

    organisations: tuple[str, ...] | None = None
    source: str | None = None

    def includes(self, owned: Owned) -> bool:
        """Whether a thing is seen. What belongs to nobody is seen only where nothing bounds."""
        inside = self.organisations is None or owned.organisation in self.organisations
        return inside and (self.source is None or owned.source == self.source)


EVERYTHING = Visible()


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `name` is the key of the agent or source."""

    role: Role
    name: str
    scopes: frozenset[str]
    visible: Visible = EVERYTHING

    @property
    def actor(self) -> Actor:
        """Whom acts are recorded for, at the trust of an API token (design 6)."""
        kinds = {Role.OPERATOR: ActorKind.OPERATOR, Role.SOURCE: ActorKind.SOURCE}
        return Actor(kind=kinds.get(self.role, ActorKind.AGENT), name=self.name, trust=2)


class Verdict(StrEnum):
    """The answer of `may`. What is not seen must be answered as what is not there."""

    YES = "yes"
    FORBIDDEN = "forbidden"
    UNSEEN = "unseen"


def principal_of(acts_as: str, *, token: str, scopes: tuple[str, ...], desk: Desk) -> Principal | None:
    """Whom a token stands for, None for an agent the desk does not have (any more) and for what we do not know."""
    kind, _, name = acts_as.partition(":")
    if acts_as == Role.OPERATOR.value:
        return Principal(role=Role.OPERATOR, name=token, scopes=frozenset(scopes))
    if kind == Role.SOURCE.value and name:
        return Principal(role=Role.SOURCE, name=name, scopes=frozenset(scopes), visible=Visible(source=name))
    agent = next((each for each in desk.agents if kind == Role.AGENT.value and each.key == name), None)
    if agent is None:
        return None
    visible = Visible(organisations=agent.organisations) if agent.organisations else EVERYTHING
    return Principal(role=Role(agent.role), name=name, scopes=frozenset(scopes), visible=visible)


def owned(ticket: Ticket) -> Owned:
    """Whose a ticket is. Only what monitoring opened belongs to a source: `source` names a door for all else."""
    return Owned(organisation=ticket.organisation, source=ticket.source if ticket.group_key else "")


def may(principal: Principal, action: Action, thing: Owned | Ticket | None = None) -> Verdict:
    """Whether the principal may do the action, to the thing where one is named: scope, role, then organisation and source."""
    right = RIGHTS[action]
    if not principal.scopes & {right.scope, ADMIN} or principal.role not in right.roles:
        return Verdict.FORBIDDEN
    owner = owned(thing) if isinstance(thing, Ticket) else thing
    if owner is not None and not principal.visible.includes(owner):
        return Verdict.UNSEEN
    return Verdict.YES
