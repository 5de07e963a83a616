"""Addresses that mail of ours came back from for good."""

import sqlalchemy as sa
from alembic import op

revision = "0006_expand"
down_revision = "0005_expand"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "undeliverable",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "address"),
    )
