"""The tables, one schema for every engine (design 5).

Every primary key, unique index and foreign key leads with `desk_id`. Instants are UTC microseconds in BIGINT, identifiers
from outside are found by their sha256, bytes stand in chunks, and no statement looks inside JSON.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    false,
    text,
)

DESK_ID = 1  # one desk today, no configuration for more
CHUNK_BYTES = 256 * 1024
Octets = Text().with_variant(Text(collation="C"), "postgresql")  # compared octet by octet on either engine, as Python does

metadata = MetaData()


def desk() -> Column[int]:
    """The first column of every primary key."""
    return Column("desk_id", Integer, primary_key=True, autoincrement=False)


def key(name: str, kind: type = BigInteger) -> Column[int]:
    """A further column of a primary key; we draw its values ourselves."""
    return Column(name, kind, primary_key=True, autoincrement=False)


# ---------------------------------------------------------------- inbox: commit 1

inbox = Table(
    "inbox",
    metadata,
    desk(),
    key("id"),
    Column("state", Text, nullable=False),  # pending, done, quarantined
    Column("channel", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("reverse_path", Text),
    Column("forward_paths", Text, nullable=False),  # JSON list, read back whole
    Column("peer", Text, nullable=False),
    Column("login", Text),
    Column("size_bytes", BigInteger, nullable=False),
    Column("message_id", Text),
    Column("message_id_sha256", LargeBinary),
    Column("edited_from", BigInteger),
    Column("claimed_by", BigInteger),  # process id row of the claimant, NULL when free
    Column("not_before", BigInteger, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),  # attempts made alone that failed
    Column("alone", Boolean, nullable=False, server_default=false()),  # after a failed batch: tried one at a time
    Column("part_count", Integer, nullable=False, server_default=text("0")),
    Column("outcomes", Text, nullable=False, server_default=""),  # one code a part, "." while pending
    Column("reason", Text),  # why it is quarantined
    Column("done_at", BigInteger),
    Column("raw_of", BigInteger),  # the envelope whose bytes these are too (ADR-0016), NULL where it has its own
    Index("inbox_pending", "desk_id", "id", sqlite_where=text("state = 'pending'"), postgresql_where=text("state = 'pending'")),
    Index(
        "inbox_message_id",
        "desk_id",
        "message_id_sha256",
        sqlite_where=text("message_id_sha256 IS NOT NULL"),
        postgresql_where=text("message_id_sha256 IS NOT NULL"),
    ),
    Index("inbox_quarantined", "desk_id", "id", sqlite_where=text("state = 'quarantined'"), postgresql_where=text("state = 'quarantined'")),
    Index("inbox_done", "desk_id", "done_at", sqlite_where=text("done_at IS NOT NULL"), postgresql_where=text("done_at IS NOT NULL")),
)

raw = Table("raw", metadata, desk(), key("inbox_id"), key("seq", Integer), Column("chunk", LargeBinary, nullable=False))

idempotency = Table(
    "idempotency",
    metadata,
    desk(),
    Column("door", Text, primary_key=True),
    Column("key_sha256", LargeBinary, primary_key=True),
    Column("body_sha256", LargeBinary, nullable=False),
    Column("inbox_id", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("idempotency_age", "desk_id", "created_at"),
)

refused = Table(  # bodies we answered with 4xx: kept 7 days, the newest 1,000 a source
    "refused",
    metadata,
    desk(),
    key("id"),
    Column("source", Text, nullable=False),
    Column("refused_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),  # of the whole body
    Column("body", LargeBinary, nullable=False),  # its first chunk
    Index("refused_source", "desk_id", "source", "id"),
)

part = Table(  # a part with an effect, or one that waits
    "part",
    metadata,
    desk(),
    key("inbox_id"),
    key("seq", Integer),
    Column("kind", Text, nullable=False),  # the signal's tag
    Column("outcome", Text, nullable=False),
    Column("ticket_id", BigInteger),
    Column("decided_at", BigInteger, nullable=False),
    Column("reasons", Text),  # msgspec JSON of itsm.decision.Reasons, erasable
    Index(
        "part_quarantined",
        "desk_id",
        "inbox_id",
        sqlite_where=text("outcome = 'quarantined'"),
        postgresql_where=text("outcome = 'quarantined'"),
    ),
    Index(
        "part_ticket", "desk_id", "ticket_id", sqlite_where=text("ticket_id IS NOT NULL"), postgresql_where=text("ticket_id IS NOT NULL")
    ),
)

# ---------------------------------------------------------------- tickets: commit 2

ticket = Table(
    "ticket",
    metadata,
    desk(),
    key("id"),
    Column("number", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("impact", SmallInteger, nullable=False),
    Column("urgency", SmallInteger, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("requester", Text, nullable=False),
    Column("requester_name", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("assignee", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("tags", Text, nullable=False),  # JSON list, read back whole
    Column("source", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("event_count", BigInteger, nullable=False),
    Column("reopen_count", Integer, nullable=False),
    Column("pending_reason", Text, nullable=False),
    Column("resolution_code", Text, nullable=False),
    Column("suggested_for", BigInteger),
    Column("opened_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Column("closed_at", BigInteger),
    Column("impact_started_at", BigInteger),
    Column("impact_ended_at", BigInteger),
    Column("version", Integer, nullable=False),
    Column("trust", SmallInteger, nullable=False, server_default=text("0")),  # of the signal that opened it
    Column("entered_by", Text, nullable=False, server_default=""),  # who entered it for the requester
    Column("merged_into", BigInteger),  # number of the ticket that goes on in its place
    Column("state_before_merge", Text, nullable=False, server_default=""),
    Column("organisation", Text, nullable=False, server_default=""),
    Index("ticket_number", "desk_id", "number", unique=True),
    Index(
        "ticket_open",
        "desk_id",
        "id",
        sqlite_where=text("state IN ('new', 'in_progress', 'pending')"),
        postgresql_where=text("state IN ('new', 'in_progress', 'pending')"),
    ),
    Index("ticket_requester", "desk_id", "requester", "id"),
    Index(
        "ticket_organisation",
        "desk_id",
        "organisation",
        "id",
        sqlite_where=text("organisation <> ''"),
        postgresql_where=text("organisation <> ''"),
    ),
)

entry = Table(  # words on a ticket
    "entry",
    metadata,
    desk(),
    key("id"),
    Column("ticket_id", BigInteger, nullable=False),
    Column("direction", Text, nullable=False),
    Column("visibility", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("author_name", Text, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("kind", Text, nullable=False),  # mail kind, or act verb
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),  # all of it
    Column("reply_text", Text, nullable=False),  # new words only
    Column("note", Text, nullable=False),  # what we say about it: defects, omitted parts, why held
    Column("message_id", Text),
    Column("content_sha256", LargeBinary),
    Column("inbox_id", BigInteger),
    Column("part_seq", Integer),
    Column("created_at", BigInteger, nullable=False),
    Column("trust", SmallInteger, nullable=False, server_default=text("0")),
    ForeignKeyConstraint(["desk_id", "ticket_id"], ["ticket.desk_id", "ticket.id"]),
    Index("entry_ticket", "desk_id", "ticket_id", "id"),
)

attachment = Table(
    "attachment",
    metadata,
    desk(),
    key("entry_id"),
    key("seq", Integer),
    Column("part_index", Integer, nullable=False),
    Column("filename", Text),
    Column("content_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("inline", Boolean, nullable=False),
    Column("content_id", Text),
)

mail_seen = Table(  # every Message-ID that came in, for sameness and threading; outlives the raw mail
    "mail_seen",
    metadata,
    desk(),
    Column("key_sha256", LargeBinary, primary_key=True),  # sha256 of the Message-ID, or of "fallback:" and the fallback hash
    key("inbox_id"),
    Column("content_sha256", LargeBinary, nullable=False),
    Column("participants_sha256", LargeBinary, nullable=False),
    Column("ticket_id", BigInteger),
    Column("author", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
)

mail_thread = Table(  # what a mail that opened a ticket references and nobody here saw, for others that reference it too
    "mail_thread",
    metadata,
    desk(),
    Column("key_sha256", LargeBinary, primary_key=True),  # sha256 of the Message-ID, NUL, and the topic
    key("inbox_id"),
    Column("ticket_id", BigInteger, nullable=False),
)

link = Table(
    "link",
    metadata,
    desk(),
    key("ticket_id"),
    key("other_id"),
    Column("kind", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Index("link_other", "desk_id", "other_id"),
)

budget = Table(
    "budget",
    metadata,
    desk(),
    Column("key", Text, primary_key=True),
    key("window_start"),
    Column("used", Integer, nullable=False),
    Index("budget_age", "desk_id", "window_start"),
)

timer = Table(
    "timer",
    metadata,
    desk(),
    Column("subject_kind", Text, primary_key=True),
    key("subject_id"),
    Column("kind", Text, primary_key=True),
    key("threshold", Integer),
    Column("due_at", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False),
    Index("timer_due", "desk_id", "due_at"),
)

# ---------------------------------------------------------------- monitoring

series = Table(
    "series",
    metadata,
    desk(),
    key("id"),
    Column("source", Text, nullable=False),
    Column("key_sha256", LargeBinary, nullable=False),
    Column("series_key", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("state", LargeBinary, nullable=False),  # msgpack of instances and resolves, read back whole
    Column("content_sha256", LargeBinary, nullable=False),
    Column("event_count", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("ticket_id", BigInteger),
    Column("version", Integer, nullable=False),
    Index("series_key", "desk_id", "source", "key_sha256", unique=True),
    Index(
        "series_ticket", "desk_id", "ticket_id", sqlite_where=text("ticket_id IS NOT NULL"), postgresql_where=text("ticket_id IS NOT NULL")
    ),
    Index("series_open", "desk_id", "source", "id", sqlite_where=text("open = 1"), postgresql_where=text("open")),
)

# ---------------------------------------------------------------- outbox: commit 3

outbox = Table(
    "outbox",
    metadata,
    desk(),
    key("id"),
    Column("ticket_id", BigInteger, nullable=False),
    Column("ticket_number", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    Column("state", Text, nullable=False),  # queued, sending, sent, dead, suppressed, held
    Column("recipient", Text, nullable=False),
    Column("recipient_name", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("message_id_sha256", LargeBinary, nullable=False),
    Column("in_reply_to", Text),
    Column("reference_ids", Text, nullable=False),  # JSON list
    Column("facts", Text, nullable=False),  # JSON object of texts
    Column("suppressed_because", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("claimed_by", BigInteger),
    Column("lease_until", BigInteger),
    Column("fence", Integer, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("alone", Boolean, nullable=False, server_default=false()),
    Column("reverse_path", Text),  # with its VERP token; "" for the null reverse-path; set when rendered
    Column("sending_at", BigInteger),
    Column("sent_at", BigInteger),
    Column("relay_reply", Text),
    Column("last_error", Text),
    Column("bounced_at", BigInteger),
    Column("reply_grant", BigInteger),  # the grant its reply address carries, if any
    Column("attachments", Text, nullable=False, server_default="[]"),  # JSON list of files of stored mails
    Index("outbox_message_id", "desk_id", "message_id_sha256", unique=True),
    Index("outbox_due", "desk_id", "due_at", "id", sqlite_where=text("state = 'queued'"), postgresql_where=text("state = 'queued'")),
    Index("outbox_sending", "desk_id", "lease_until", sqlite_where=text("state = 'sending'"), postgresql_where=text("state = 'sending'")),
    Index(
        "outbox_unsettled",
        "desk_id",
        "ticket_id",
        "recipient",
        "id",
        sqlite_where=text("state IN ('queued', 'sending')"),
        postgresql_where=text("state IN ('queued', 'sending')"),
    ),
    Index("outbox_ticket", "desk_id", "ticket_id", "id"),
    Index("outbox_held", "desk_id", "id", sqlite_where=text("state = 'held'"), postgresql_where=text("state = 'held'")),
    Index("outbox_dead", "desk_id", "id", sqlite_where=text("state = 'dead'"), postgresql_where=text("state = 'dead'")),
)

outbox_raw = Table("outbox_raw", metadata, desk(), key("outbox_id"), key("seq", Integer), Column("chunk", LargeBinary, nullable=False))

# ---------------------------------------------------------------- history

history = Table(
    "history",
    metadata,
    desk(),
    Column("stream", Octets, primary_key=True),  # "ticket:<id>", "configuration", "directory", "silences", "access"
    key("seq", Integer),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("ids", Text, nullable=False),  # JSON list of the identifiers the entry names
    Column("commitment", LargeBinary, nullable=False),  # sha256(salt || content)
    Column("hash", LargeBinary, nullable=False),
)

history_head = Table(
    "history_head",
    metadata,
    desk(),
    Column("stream", Octets, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

history_content = Table(  # erasable; the chain holds only the commitment
    "history_content",
    metadata,
    desk(),
    Column("stream", Octets, primary_key=True),
    key("seq", Integer),
    Column("salt", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

totals = Table(
    "totals",
    metadata,
    desk(),
    Column("name", Text, primary_key=True),  # "accepted", "done", "quarantined", "parts", "outcome:<name>"
    Column("amount", BigInteger, nullable=False),
)
