"""The API: the organisation of a ticket, answers kept under their key, the alerts of a ticket."""

import sqlalchemy as sa
from alembic import op

revision = "0004_expand"
down_revision = "0003_expand"


def upgrade() -> None:
    """Add what N-1 need not know; `store.backfill` says of the tickets there are whose they are."""
    op.add_column("ticket", sa.Column("organisation", sa.Text(), server_default="", nullable=False))
    _index("ticket_organisation", "ticket", ["desk_id", "organisation", "id"], "organisation <> ''")
    _index("series_ticket", "series", ["desk_id", "ticket_id"], "ticket_id IS NOT NULL")
    op.create_table(
        "answer",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "door", "key_sha256"),
    )
    op.create_index("answer_age", "answer", ["desk_id", "created_at"])


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
