"""What somebody asks to be done to a ticket, the same value from every channel (design 4, one act, any channel)."""

from enum import StrEnum

import msgspec


class ActorKind(StrEnum):
    """Who acts. `system` is a timer or rule within what it names; `operator` holds the database credential."""

    REQUESTER = "requester"
    AGENT = "agent"
    SOURCE = "source"
    SYSTEM = "system"
    OPERATOR = "operator"
    ANYONE = "anyone"


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts and at which trust level (design 6): 0 anyone, 1 authenticated mail, 2 token, 3 signature or operator."""

    kind: ActorKind
    name: str = ""
    trust: int = 0


class Verb(StrEnum):
    """The acts a ticket knows."""

    START = "start"
    ASSIGN = "assign"
    PEND = "pend"
    RESUME = "resume"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    CLOSE = "close"
    CANCEL = "cancel"
    REPLY = "reply"
    NOTE = "note"
    PRIORITISE = "prioritise"
    CLASSIFY = "classify"
    WATCH = "watch"
    UNWATCH = "unwatch"
    MUTE = "mute"
    LINK = "link"
    MERGE = "merge"
    UNMERGE = "unmerge"
    SPLIT = "split"
    ACCEPT = "accept"
    DROP = "drop"


class Act(msgspec.Struct, frozen=True, kw_only=True, tag="act"):
    """One verb on one ticket. `text` is the public words of reply and resolve, or the note; other arguments are by name.

    `assign` takes `team` and/or `assignee`; `pend` takes `reason` (customer, vendor, change, scheduled); `resolve` may take
    `code`; `prioritise` takes `impact` and `urgency` (1..3), or a `priority` (1..5); `classify` takes `type`, `service` and/or
    `tags`; `watch` and `unwatch` take an `address`; `mute` takes `hours`; `link` takes `to` and `merge` takes `into`, a ticket's
    number; `split`, `accept` and `drop` take the id of an `entry`, the newest there is when it is left out.
    `expected_version` makes the act a conflict when somebody was faster; None takes the ticket as it is.
    """

    verb: Verb
    ticket_number: int
    actor: Actor
    text: str = ""
    arguments: dict[str, str] = {}
    expected_version: int | None = None


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket that somebody of the desk opens for a requester who called or came by; `requester` is an address, "" for none."""

    actor: Actor
    subject: str
    text: str = ""
    requester: str = ""
    requester_name: str = ""
    type: str = ""
    team: str = ""
    service: str = ""
    impact: int = 0
    urgency: int = 0
    acknowledge: bool = True


class Absent(StrEnum):
    """What an import does with people it does not name: nothing, or they belong to their organisation no longer and are no VIPs."""

    KEEP = "keep"
    DETACH = "detach"


class ImportPeople(msgspec.Struct, frozen=True, kw_only=True):
    """People or organisations from the text of a CSV file; with `preview` it is only told what would change.

    `absent` speaks of people known of the organisations that the file names, whom no line names by any address.
    """

    actor: Actor
    text: str
    absent: Absent = Absent.KEEP
    preview: bool = False
