"""What the rules decided: effects as data, the outcome of the part, and the reasons (design 4). Nothing here acts."""

from datetime import datetime
from enum import StrEnum

import msgspec

from itsm.address import Address
from itsm.envelope import Outcome
from itsm.notification import Event
from itsm.person import Follower, FollowerKind
from itsm.series import SeriesState
from itsm.signal import Attachment
from itsm.ticket import Ticket

MAX_TICKETS_A_DECISION = 50
MAX_NEAR_MISSES = 10


class Visibility(StrEnum):
    """Who may read an entry of a ticket; `held` waits for an agent and has no side effect, `dropped` is kept and shown to nobody else."""

    PUBLIC = "public"
    INTERNAL = "internal"
    HELD = "held"
    DROPPED = "dropped"


class Direction(StrEnum):
    """Whether an entry came in, went out, or was written on the desk."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    DESK = "desk"


class OpenTicket(msgspec.Struct, frozen=True, kw_only=True, tag="open_ticket"):
    """A new ticket. Its `id` is negative: a handle the other effects of the same decision use; `number` is 0 until drawn."""

    ticket: Ticket


class ChangeTicket(msgspec.Struct, frozen=True, kw_only=True, tag="change_ticket"):
    """The ticket as it was loaded and as it shall be; the difference is the history entry, `before.version` the guard.

    `after.version` is set by apply. `verb` names the act or the rule event that changes it, `actor` who did.
    """

    before: Ticket
    after: Ticket
    verb: str
    actor: str


class AddEntry(msgspec.Struct, frozen=True, kw_only=True, tag="add_entry"):
    """Words on a ticket. `from_signal` keeps the part's mail with it: attachments, Message-ID for threading, defects.

    `new_words` are the words without what they quote; None: those the parser found. `trust` is the level of who wrote them.
    """

    ticket_id: int
    direction: Direction
    visibility: Visibility
    author: str
    author_name: str = ""
    verified: bool = False
    subject: str = ""
    text: str = ""
    from_signal: bool = False
    note: str = ""
    new_words: str | None = None
    trust: int = 0


class LinkTickets(msgspec.Struct, frozen=True, kw_only=True, tag="link_tickets"):
    """A link between two tickets: `suggested` (this may belong to that), `follows` (after the reopen window), `related`."""

    ticket_id: int
    other_id: int
    kind: str


class SetTimer(msgspec.Struct, frozen=True, kw_only=True, tag="set_timer"):
    """Set or move the timer (subject, kind, threshold); setting again replaces `due_at` and raises its generation."""

    subject_kind: str
    subject_id: int
    kind: str
    threshold: int = 0
    due_at: datetime


class ClearTimer(msgspec.Struct, frozen=True, kw_only=True, tag="clear_timer"):
    """Remove a timer; one that is not there is no error."""

    subject_kind: str
    subject_id: int
    kind: str
    threshold: int = 0


class Notify(msgspec.Struct, frozen=True, kw_only=True, tag="notify"):
    """One notice to one recipient. With `suppressed_because` it is recorded and never sent.

    `facts` are the texts the template may use; number, subject, desk name and addresses are added by apply.
    `reply_as` is the key of the agent whom the mail's reply address shall be bound to until `reply_until`, "" for none. `files` are
    attachments of the part at hand that go with it.
    """

    ticket_id: int
    event: Event
    recipient: Address
    facts: dict[str, str] = {}
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    suppressed_because: str | None = None
    due_at: datetime | None = None
    reply_as: str = ""
    reply_until: datetime | None = None
    files: tuple[Attachment, ...] = ()


class SpendBudget(msgspec.Struct, frozen=True, kw_only=True, tag="spend_budget"):
    """Take one from a budget; apply does it as one conditional UPDATE and decides again when nothing is left."""

    key: str
    window_start: datetime
    limit: int


class KeepSeries(msgspec.Struct, frozen=True, kw_only=True, tag="keep_series"):
    """The series as it shall be stored; instances name their incident by ticket id or by a handle of this decision."""

    state: SeriesState


class MarkUndelivered(msgspec.Struct, frozen=True, kw_only=True, tag="mark_undelivered"):
    """A delivery report came back for this row of the outbox."""

    notification_id: int


class ReviseEntry(msgspec.Struct, frozen=True, kw_only=True, tag="revise_entry"):
    """An entry that was held is taken in, or dropped."""

    ticket_id: int
    entry_id: int
    visibility: Visibility
    verified: bool
    actor: str


class KeepFollower(msgspec.Struct, frozen=True, kw_only=True, tag="keep_follower"):
    """Somebody follows the ticket from now on, or is left out of it for a while; again replaces `until`."""

    follower: Follower


class RemoveFollower(msgspec.Struct, frozen=True, kw_only=True, tag="remove_follower"):
    """Somebody follows no more; one who did not is no error."""

    ticket_id: int
    address: str
    kind: FollowerKind
    actor: str


class UnlinkTickets(msgspec.Struct, frozen=True, kw_only=True, tag="unlink_tickets"):
    """Take a link away; one that is not there is no error."""

    ticket_id: int
    other_id: int
    kind: str


class MarkUndeliverable(msgspec.Struct, frozen=True, kw_only=True, tag="mark_undeliverable"):
    """Mail to this canonical address came back for good: nothing more is sent to it until it writes."""

    address: str
    notification_id: int
    reason: str


class LiftUndeliverable(msgspec.Struct, frozen=True, kw_only=True, tag="lift_undeliverable"):
    """A mail came from this canonical address: it is sent to again."""

    address: str


Effect = (
    OpenTicket
    | ChangeTicket
    | AddEntry
    | LinkTickets
    | SetTimer
    | ClearTimer
    | Notify
    | SpendBudget
    | KeepSeries
    | MarkUndelivered
    | ReviseEntry
    | KeepFollower
    | RemoveFollower
    | UnlinkTickets
    | MarkUndeliverable
    | LiftUndeliverable
)


class NearMiss(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that failed by one predicate: its key, the predicate, the value it read."""

    rule: str
    predicate: str
    value: str


class Reasons(msgspec.Struct, frozen=True, kw_only=True):
    """Why: a code and a sentence, the ruleset, the rules that matched, the values they read, and near misses.

    `signed_by` is the domain whose DKIM signature of this mail held when it was judged, else "": keys go, so it is read, not verified again.
    """

    code: str
    sentence: str
    ruleset_sha256: str = ""
    rules: tuple[str, ...] = ()
    values: dict[str, str] = {}
    near_misses: tuple[NearMiss, ...] = ()
    trust: int = 0
    signed_by: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one part with everything that shall happen; `ticket_id` may be a handle of an OpenTicket."""

    outcome: Outcome
    ticket_id: int | None = None
    effects: tuple[Effect, ...] = ()
    reasons: Reasons
