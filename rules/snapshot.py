"""What the rules may know of the world when they judge one part: loaded under the lock, then only values."""

from datetime import datetime

import msgspec

from itsm.decision import Direction, Visibility
from itsm.grant import Grant
from itsm.person import Follower, Person
from itsm.series import SeriesState
from itsm.ticket import Ticket


class SeenBefore(msgspec.Struct, frozen=True, kw_only=True):
    """A mail under the same key: its content, its participants, and the ticket it went to (None: it made none).

    `forward_paths` are the envelope recipients it came to; None when they are not kept any more.
    """

    content_sha256: bytes
    participants_sha256: bytes
    ticket_id: int | None
    received_at: datetime
    forward_paths: tuple[str, ...] | None = None


class Referenced(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket that the mail's In-Reply-To or References lead to, strongest first.

    `minted_for_sender` tells that we minted the referenced Message-ID for this very From address (its MAC was checked).
    `participant` tells that the From address stands on the ticket already.
    """

    message_id: str
    ticket: Ticket
    minted_for_sender: bool
    participant: bool


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """The notification a delivery report came back for (its VERP token was checked), and its ticket."""

    notification_id: int
    recipient: str
    ticket: Ticket
    marked: bool = False  # the address is known to be undeliverable


class ReplyTo(msgspec.Struct, frozen=True, kw_only=True):
    """The reply address a mail was sent to, its MAC checked: the ticket it names (where it was merged, the one that goes on), its grant."""

    ticket_number: int
    ticket: Ticket
    grant: Grant | None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a ticket, as far as an act on it needs to know; oldest first where there are several."""

    id: int
    author: str
    author_name: str
    direction: Direction
    visibility: Visibility
    subject: str
    text: str


class ActSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The world around an act: tickets its arguments name by number and those they were merged into, what was said, who follows."""

    others: dict[int, Ticket] = {}
    said: tuple[Said, ...] = ()
    followers: tuple[Follower, ...] = ()


class MailSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The world around one mail. `budgets_used` is by (budget key, start of its window); `ours` that its loop mark is ours.

    `person` is who the From address is said to belong to, which its trust level may or may not prove. `threaded` are tickets that another mail
    opened which references what this one does, on the same topic; nobody here saw what they reference. `around` is the world of acts for the tickets the mail may reach, by their id.
    """

    seen: tuple[SeenBefore, ...] = ()
    referenced: tuple[Referenced, ...] = ()
    by_subject: Ticket | None = None
    by_subject_participant: bool = False
    returned: Returned | None = None
    budgets_used: dict[tuple[str, datetime], int] = {}
    ours: bool = False
    sender_marked: bool = False  # the From address is known to be undeliverable
    reply_to: ReplyTo | None = None
    person: Person | None = None
    threaded: tuple[Referenced, ...] = ()
    around: dict[int, ActSnapshot] = {}

    def is_sender(self, requester: str, sender: str) -> bool:
        """Whether the requester of a ticket is the person who writes from this address."""
        theirs = (sender, *self.person.addresses) if self.person is not None else (sender,)
        return bool(requester) and requester in theirs

    def near(self, ticket: Ticket) -> ActSnapshot:
        """What is known around a ticket."""
        return self.around.get(ticket.id, ActSnapshot())


class EventSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The world around one monitoring event: its series (with an id even when new) and the incidents of its instances."""

    series: SeriesState
    tickets: dict[int, Ticket] = {}
