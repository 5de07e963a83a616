"""Search: a row of words for every entry. `store.backfill` makes the engine's own index over it and fills it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0005_expand"
down_revision = "0004_expand"


def upgrade() -> None:
    """A table that N-1 need not know."""
    op.create_table(
        "search_words",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text().with_variant(TSVECTOR(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
