"""What mails reference that nobody here saw."""

import sqlalchemy as sa
from alembic import op

revision = "0008_expand"
down_revision = "0007_expand"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "mail_thread",
        sa.Column("desk_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "key_sha256", "inbox_id"),
    )
