"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001_expand"
down_revision = None
_OCTETS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _index(name: str, table: str, columns: list[str], *, sqlite: str, postgresql: str | None = None) -> None:
    """An index of some rows, on either engine."""
    op.create_index(name, table, columns, sqlite_where=sa.text(sqlite), postgresql_where=sa.text(postgresql or sqlite))


def upgrade() -> None:
    """Make every table."""
    _inbox()
    _parts()
    _tickets()
    _words()
    _threads()
    _casework()
    _outbox()
    _history()
    _desk()


def _inbox() -> None:
    """What doors write."""
    op.create_table(
        "inbox",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("reverse_path", sa.Text(), nullable=True),
        sa.Column("forward_paths", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("message_id_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("edited_from", sa.BigInteger(), nullable=True),
        sa.Column("claimed_by", sa.BigInteger(), nullable=True),
        sa.Column("not_before", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("alone", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("part_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("outcomes", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
    _index("inbox_done", "inbox", ["desk_id", "done_at"], sqlite="done_at IS NOT NULL")
    _index("inbox_message_id", "inbox", ["desk_id", "message_id_sha256"], sqlite="message_id_sha256 IS NOT NULL")
    _index("inbox_pending", "inbox", ["desk_id", "id"], sqlite="state = 'pending'")
    _index("inbox_quarantined", "inbox", ["desk_id", "id"], sqlite="state = 'quarantined'")
    op.create_table(
        "raw",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chunk", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "inbox_id", "seq"),
    )


def _parts() -> None:
    """What stands beside the inbox."""
    op.create_table(
        "idempotency",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "door", "key_sha256"),
    )
    op.create_index("idempotency_age", "idempotency", ["desk_id", "created_at"])
    op.create_table(
        "refused",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("refused_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
    op.create_index("refused_source", "refused", ["desk_id", "source", "id"])
    op.create_table(
        "part",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("desk_id", "inbox_id", "seq"),
    )
    _index("part_quarantined", "part", ["desk_id", "inbox_id"], sqlite="outcome = 'quarantined'")
    _index("part_ticket", "part", ["desk_id", "ticket_id"], sqlite="ticket_id IS NOT NULL")


def _tickets() -> None:
    """Tickets."""
    op.create_table(
        "ticket",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("impact", sa.SmallInteger(), nullable=False),
        sa.Column("urgency", sa.SmallInteger(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("requester_name", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("assignee", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("event_count", sa.BigInteger(), nullable=False),
        sa.Column("reopen_count", sa.Integer(), nullable=False),
        sa.Column("pending_reason", sa.Text(), nullable=False),
        sa.Column("resolution_code", sa.Text(), nullable=False),
        sa.Column("suggested_for", sa.BigInteger(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("impact_started_at", sa.BigInteger(), nullable=True),
        sa.Column("impact_ended_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
    op.create_index("ticket_number", "ticket", ["desk_id", "number"], unique=True)
    _index("ticket_open", "ticket", ["desk_id", "id"], sqlite="state IN ('new', 'in_progress', 'pending')")
    op.create_index("ticket_requester", "ticket", ["desk_id", "requester", "id"])


def _words() -> None:
    """What hangs on tickets."""
    op.create_table(
        "entry",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reply_text", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("inbox_id", sa.BigInteger(), nullable=True),
        sa.Column("part_seq", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["desk_id", "ticket_id"],
            ["ticket.desk_id", "ticket.id"],
        ),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
    op.create_index("entry_ticket", "entry", ["desk_id", "ticket_id", "id"])
    op.create_table(
        "attachment",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part_index", sa.Integer(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("inline", sa.Boolean(), nullable=False),
        sa.Column("content_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("desk_id", "entry_id", "seq"),
    )


def _threads() -> None:
    """How mails and tickets find each other."""
    op.create_table(
        "mail_seen",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("participants_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "key_sha256", "inbox_id"),
    )
    op.create_table(
        "link",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("other_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "ticket_id", "other_id", "kind"),
    )
    op.create_index("link_other", "link", ["desk_id", "other_id"])


def _casework() -> None:
    """What casework keeps beside tickets."""
    op.create_table(
        "budget",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "key", "window_start"),
    )
    op.create_index("budget_age", "budget", ["desk_id", "window_start"])
    op.create_table(
        "timer",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "subject_kind", "subject_id", "kind", "threshold"),
    )
    op.create_index("timer_due", "timer", ["desk_id", "due_at"])
    op.create_table(
        "series",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("series_key", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("event_count", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
    op.create_index("series_key", "series", ["desk_id", "source", "key_sha256"], unique=True)
    _index("series_open", "series", ["desk_id", "source", "id"], sqlite="open = 1", postgresql="open")


def _outbox() -> None:
    """What goes out."""
    op.create_table(
        "outbox",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("ticket_number", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("recipient_name", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("message_id_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("in_reply_to", sa.Text(), nullable=True),
        sa.Column("reference_ids", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("suppressed_because", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_by", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("fence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("alone", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("reverse_path", sa.Text(), nullable=True),
        sa.Column("sending_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("relay_reply", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("bounced_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
    _index("outbox_dead", "outbox", ["desk_id", "id"], sqlite="state = 'dead'")
    _index("outbox_due", "outbox", ["desk_id", "due_at", "id"], sqlite="state = 'queued'")
    _index("outbox_held", "outbox", ["desk_id", "id"], sqlite="state = 'held'")
    op.create_index("outbox_message_id", "outbox", ["desk_id", "message_id_sha256"], unique=True)
    _index("outbox_sending", "outbox", ["desk_id", "lease_until"], sqlite="state = 'sending'")
    op.create_index("outbox_ticket", "outbox", ["desk_id", "ticket_id", "id"])
    _index("outbox_unsettled", "outbox", ["desk_id", "ticket_id", "recipient", "id"], sqlite="state IN ('queued', 'sending')")
    op.create_table(
        "outbox_raw",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chunk", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "outbox_id", "seq"),
    )


def _history() -> None:
    """The hash-chained history, and the totals of what retention removed."""
    op.create_table(
        "history",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stream", _OCTETS, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("ids", sa.Text(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "stream", "seq"),
    )
    op.create_table(
        "history_head",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stream", _OCTETS, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "stream"),
    )
    op.create_table(
        "history_content",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stream", _OCTETS, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "stream", "seq"),
    )
    op.create_table(
        "totals",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "name"),
    )


def _desk() -> None:
    """The desk itself."""
    op.create_table(
        "counter",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "name"),
    )
    op.create_table(
        "process",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("process_id", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "node"),
    )
    op.create_table(
        "directory",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
    op.create_index("directory_key", "directory", ["desk_id", "kind", "key"], unique=True)
    op.create_table(
        "signing_key",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("desk_id", "key_id"),
    )
    op.create_table(
        "api_token",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("acts_as", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
    op.create_index("api_token_name", "api_token", ["desk_id", "name"], unique=True)
    op.create_index("api_token_secret", "api_token", ["desk_id", "secret_sha256"], unique=True)
