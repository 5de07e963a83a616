"""Which envelope has the bytes of one that came again whole."""

import sqlalchemy as sa
from alembic import op

revision = "0007_expand"
down_revision = "0006_expand"


def upgrade() -> None:
    """Add the column."""
    op.add_column("inbox", sa.Column("raw_of", sa.BigInteger(), nullable=True))
