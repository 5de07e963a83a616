"""The world of one transaction: what was loaded, what decisions changed in it, and what is to be written at the end.

Decisions of one batch see each other through it; writing is one bulk statement a table, however many parts.
"""

from collections import defaultdict
from datetime import datetime

from itsm.decision import Reasons
from itsm.envelope import Outcome
from itsm.grant import Grant
from itsm.notification import Notification
from itsm.person import Follower, Person
from itsm.ticket import Ticket
from itsm.token import ReplyToken
from rules.snapshot import Said
from store.entries import Entry
from store.series_rows import SeriesRow
from store.threads import MailSeen, MailSent, MailThread
from store.undeliverable import Undeliverable

BudgetKey = tuple[str, datetime]
FollowerKey = tuple[int, str, str]
TimerKey = tuple[str, int, str, int]


class PartRow:
    """The row of a part with an effect, to be written."""

    __slots__ = ("inbox_id", "kind", "outcome", "reasons", "seq", "ticket_id")

    def __init__(self, inbox_id: int, seq: int, kind: str, outcome: Outcome, ticket_id: int | None, reasons: Reasons) -> None:
        """Keep the fields."""
        (self.inbox_id, self.seq, self.kind, self.outcome, self.ticket_id, self.reasons) = inbox_id, seq, kind, outcome, ticket_id, reasons


class HistoryRow:
    """An entry of a ticket's history stream, to be written."""

    __slots__ = ("actor", "content", "ids", "kind", "stream")

    def __init__(self, stream: str, kind: str, actor: str, ids: tuple[int, ...], content: dict[str, str]) -> None:
        """Keep the fields; `content` is erasable, the rest stands in the chain."""
        self.stream, self.kind, self.actor, self.ids, self.content = (stream, kind, actor, ids, content)


class Workspace:
    """Mutable, lives for one transaction, never leaves it."""

    def __init__(self, now: datetime) -> None:
        """Start empty at an instant."""
        self.now = now
        # loaded, and kept up to date by each decision
        self.tickets: dict[int, Ticket] = {}
        self.numbers: dict[int, int] = {}
        self.seen: dict[bytes, list[MailSeen]] = defaultdict(list)
        self.threads: dict[bytes, list[MailThread]] = defaultdict(list)
        self.sent: dict[bytes, MailSent] = {}
        self.sent_by_id: dict[int, MailSent] = {}
        self.participants: dict[int, frozenset[str]] = {}
        self.pending: set[bytes] = set()
        self.paths: dict[int, tuple[str, ...]] = {}
        self.followers: dict[int, tuple[Follower, ...]] = {}
        self.reply_tokens: dict[int, ReplyToken] = {}  # by inbox id
        self.people: dict[str, Person] = {}  # by address
        self.grants: dict[int, Grant] = {}
        self.undeliverable: dict[str, Undeliverable] = {}  # of senders and of those whose mail came back, by address
        self.said: dict[int, tuple[Said, ...]] = {}
        self.said_of: set[int] = set()  # numbers of the tickets whose entries are wanted
        self.budgets: dict[BudgetKey, int] = {}
        self.series: dict[tuple[str, str], SeriesRow] = {}
        # to be written
        self.new_tickets: dict[int, Ticket] = {}
        self.seen_versions: dict[int, int] = {}
        self.new_entries: list[Entry] = []
        self.text_words: dict[int, str] = {}  # of new entries by their id, where the parser has cut them
        self.new_seen: list[MailSeen] = []
        self.new_threads: list[MailThread] = []
        self.new_links: list[tuple[int, int, str]] = []
        self.new_parts: list[PartRow] = []
        self.new_history: list[HistoryRow] = []
        self.notifications: list[Notification] = []
        self.timers: dict[TimerKey, datetime | None] = {}
        self.spending: dict[BudgetKey, tuple[int, int]] = {}
        self.changed_series: set[tuple[str, str]] = set()
        self.bounced: list[int] = []
        self.new_grants: list[Grant] = []
        self.marked: dict[str, Undeliverable] = {}
        self.lifted: set[str] = set()
        self.kept_followers: dict[FollowerKey, Follower | None] = {}
        self.revised: list[tuple[int, str, bool]] = []
        self.gone_links: list[tuple[int, int, str]] = []
        self.event_counts: dict[int, int] = defaultdict(int)

    def by_number(self) -> dict[int, Ticket]:
        """Every ticket at hand by its number."""
        return {number: self.tickets[ticket_id] for number, ticket_id in self.numbers.items() if ticket_id in self.tickets}

    def put_ticket(self, ticket: Ticket) -> None:
        """Add a new ticket, or replace one that was loaded; its version rises once in the transaction."""
        loaded = self.tickets.get(ticket.id)
        if loaded is None or ticket.id in self.new_tickets:
            self.new_tickets[ticket.id] = ticket
        else:
            self.seen_versions.setdefault(ticket.id, loaded.version)
        self.tickets[ticket.id] = ticket
        self.numbers[ticket.number] = ticket.id

    def mark(self, mark: Undeliverable) -> None:
        """Mail to an address comes back for good; the first mark stays."""
        self.lifted.discard(mark.address)
        if mark.address not in self.undeliverable:
            self.undeliverable[mark.address] = self.marked[mark.address] = mark

    def lift(self, address: str) -> None:
        """An address is written to again."""
        self.marked.pop(address, None)
        self.undeliverable.pop(address, None)
        self.lifted.add(address)

    def spend(self, key: BudgetKey, limit: int) -> None:
        """Take one from a budget."""
        amount, _ = self.spending.get(key, (0, limit))
        self.spending[key] = (amount + 1, limit)
        self.budgets[key] = self.budgets.get(key, 0) + 1
