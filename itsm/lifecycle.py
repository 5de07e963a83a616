"""Which act moves a ticket from which state to which, and for whom: one table for every channel (itsm 3.2)."""

import msgspec

from itsm.act import Act, ActorKind, Verb
from itsm.address import is_mailbox
from itsm.ticket import State, Ticket, parse_number

_DESK = frozenset({ActorKind.AGENT, ActorKind.OPERATOR, ActorKind.SYSTEM})
_ALL = _DESK | {ActorKind.REQUESTER}
OPEN = frozenset({State.NEW, State.IN_PROGRESS, State.PENDING})
_ALIVE = OPEN | {State.RESOLVED}
PENDING_REASONS = ("customer", "vendor", "change", "scheduled")
MAX_ARGUMENT_CHARACTERS = 500
MAX_MUTE_HOURS = 720


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table: from these states, by these actors, to that state (None: it stays), with these arguments."""

    sources: frozenset[State]
    actors: frozenset[ActorKind]
    target: State | None
    arguments: tuple[str, ...] = ()


MOVES: dict[Verb, Move] = {
    Verb.START: Move(sources=OPEN, actors=_DESK, target=State.IN_PROGRESS),
    Verb.ASSIGN: Move(sources=OPEN, actors=_DESK, target=None, arguments=("team", "assignee")),
    Verb.PEND: Move(sources=OPEN, actors=_DESK, target=State.PENDING, arguments=("reason",)),
    Verb.RESUME: Move(sources=frozenset({State.PENDING}), actors=_ALL, target=State.IN_PROGRESS),
    Verb.RESOLVE: Move(sources=OPEN, actors=_ALL, target=State.RESOLVED, arguments=("code",)),
    Verb.REOPEN: Move(sources=frozenset({State.RESOLVED}), actors=_ALL, target=State.IN_PROGRESS),
    Verb.CLOSE: Move(sources=frozenset({State.RESOLVED}), actors=_ALL, target=State.CLOSED),
    Verb.CANCEL: Move(sources=OPEN, actors=_ALL, target=State.CANCELLED),
    Verb.REPLY: Move(sources=OPEN | {State.RESOLVED}, actors=_ALL, target=None),
    Verb.NOTE: Move(sources=frozenset(State), actors=_DESK, target=None),
    Verb.PRIORITISE: Move(sources=OPEN, actors=_DESK, target=None, arguments=("impact", "urgency", "priority")),
    Verb.CLASSIFY: Move(sources=OPEN, actors=_DESK, target=None, arguments=("type", "service", "tags")),
    Verb.WATCH: Move(sources=_ALIVE, actors=_ALL, target=None, arguments=("address", "name")),
    Verb.UNWATCH: Move(sources=_ALIVE, actors=_ALL, target=None, arguments=("address",)),
    Verb.MUTE: Move(sources=_ALIVE, actors=frozenset({ActorKind.AGENT}), target=None, arguments=("hours",)),
    Verb.LINK: Move(sources=frozenset(State), actors=_DESK, target=None, arguments=("to",)),
    Verb.MERGE: Move(sources=_ALIVE, actors=_DESK, target=State.CLOSED, arguments=("into",)),
    Verb.UNMERGE: Move(sources=frozenset({State.CLOSED}), actors=_DESK, target=None),
    Verb.SPLIT: Move(sources=_ALIVE, actors=_DESK, target=None, arguments=("entry", "subject")),
    Verb.ACCEPT: Move(sources=frozenset(State), actors=_DESK, target=None, arguments=("entry",)),
    Verb.DROP: Move(sources=frozenset(State), actors=_DESK, target=None, arguments=("entry",)),
}


class Legal(msgspec.Struct, frozen=True, kw_only=True, tag="legal"):
    """The act may be done; `state` is the ticket's state after it."""

    state: State


class Illegal(msgspec.Struct, frozen=True, kw_only=True, tag="illegal"):
    """The act may not be done: why, and which acts may."""

    reason: str
    legal_acts: tuple[Verb, ...]


def legal_acts(ticket: Ticket, actor: ActorKind) -> tuple[Verb, ...]:
    """The verbs this kind of actor may use on the ticket as it is."""
    return tuple(verb for verb, move in MOVES.items() if _allows(ticket, move, verb) and actor in move.actors)


def _allows(ticket: Ticket, move: Move, verb: Verb) -> bool:
    """Whether the ticket's state does; only what was merged can be taken apart again."""
    return ticket.state in move.sources and (verb is not Verb.UNMERGE or ticket.merged_into is not None)


def judge(ticket: Ticket, act: Act) -> Legal | Illegal:
    """Whether the act is legal for this ticket; a refusal names the legal ones."""
    move = MOVES[act.verb]
    options = legal_acts(ticket, act.actor.kind)
    if act.actor.kind not in move.actors:
        return Illegal(reason=f"{act.actor.kind.value} may not {act.verb.value} a ticket", legal_acts=options)
    if act.verb is Verb.UNMERGE and ticket.merged_into is None:
        return Illegal(reason="the ticket was not merged into another", legal_acts=options)
    if not _allows(ticket, move, act.verb):
        return Illegal(reason=f"a ticket that is {ticket.state.value} cannot be changed by {act.verb.value}", legal_acts=options)
    wrong = _surplus(act, move) or _missing(act)
    if wrong:
        return Illegal(reason=wrong, legal_acts=options)
    return Legal(state=move.target or ticket.state)


def _surplus(act: Act, move: Move) -> str:
    """What the act has that this verb does not take, "" when nothing: a mistyped name must not pass unseen."""
    for name, value in act.arguments.items():
        if name not in move.arguments:
            return f"{act.verb.value} takes {' and '.join(move.arguments) or 'no arguments'}, not {name!r}"
        if len(value) > MAX_ARGUMENT_CHARACTERS:
            return f"{name} is longer than {MAX_ARGUMENT_CHARACTERS} characters"
    return ""


def _missing(act: Act) -> str:
    """What the act lacks, "" when it is whole."""
    given = act.arguments
    match act.verb:
        case Verb.PEND if given.get("reason") not in PENDING_REASONS:
            return f"pend needs a reason: {', '.join(PENDING_REASONS)}"
        case Verb.ASSIGN if not (given.get("team") or given.get("assignee")):
            return "assign needs a team or an assignee"
        case Verb.REPLY | Verb.NOTE if not act.text.strip():
            return f"{act.verb.value} needs words"
        case Verb.PRIORITISE if "priority" in given:
            wrong = given["priority"] not in ("1", "2", "3", "4", "5") or len(given) > 1
            return "prioritise takes a priority from 1 to 5, or impact and urgency" if wrong else ""
        case Verb.PRIORITISE if not all(given.get(name) in ("1", "2", "3") for name in ("impact", "urgency")):
            return "prioritise needs impact and urgency from 1 to 3"
        case Verb.CLASSIFY if not given.keys() & {"type", "service", "tags"}:
            return "classify needs a type, a service or tags"
        case Verb.CLASSIFY if given.get("type", "incident") not in ("incident", "service_request"):
            return "type must be incident or service_request"
        case _:
            return _missing_name(act)


def _missing_name(act: Act) -> str:
    """What an act lacks that names somebody or something else, "" when it is whole."""
    given = act.arguments
    match act.verb:
        case Verb.WATCH | Verb.UNWATCH if not is_mailbox(given.get("address", "")):
            return f"{act.verb.value} needs a mail address"
        case Verb.MUTE if not (_is_number(given.get("hours", "")) and 0 < int(given["hours"]) <= MAX_MUTE_HOURS):
            return f"mute needs hours from 1 to {MAX_MUTE_HOURS}"
        case Verb.LINK if parse_number(given.get("to", "")) in (None, act.ticket_number):
            return "link needs the number of another ticket"
        case Verb.MERGE if parse_number(given.get("into", "")) in (None, act.ticket_number):
            return "merge needs the number of another ticket"
        case Verb.SPLIT | Verb.ACCEPT | Verb.DROP if not _is_number(given.get("entry", "0")):
            return f"{act.verb.value} needs the id of an entry, or none"
        case _:
            return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19
