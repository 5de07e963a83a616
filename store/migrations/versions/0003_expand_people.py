"""People: reply grants, followers, requesters and organisations; trust, merging and files on what there was."""

import sqlalchemy as sa
from alembic import op

revision = "0003_expand"
down_revision = "0002_expand"


def _key(name: str, kind: type[sa.types.TypeEngine[int]] = sa.BigInteger) -> sa.Column[int]:
    return sa.Column(name, kind(), autoincrement=False, nullable=False)


def upgrade() -> None:
    """Add columns that N-1 need not know, and new tables."""
    _columns()
    _tickets_people()
    _requesters()


def _columns() -> None:
    """Each has a default, so that N-1 writes rows as before."""
    op.add_column("ticket", sa.Column("trust", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("ticket", sa.Column("entered_by", sa.Text(), server_default="", nullable=False))
    op.add_column("ticket", sa.Column("merged_into", sa.BigInteger(), nullable=True))
    op.add_column("ticket", sa.Column("state_before_merge", sa.Text(), server_default="", nullable=False))
    op.add_column("entry", sa.Column("trust", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("outbox", sa.Column("reply_grant", sa.BigInteger(), nullable=True))
    op.add_column("outbox", sa.Column("attachments", sa.Text(), server_default="[]", nullable=False))


def _tickets_people() -> None:
    """Who may answer by which address, and who follows."""
    op.create_table(
        "reply_grant",
        _key("desk_id", sa.Integer),
        _key("id"),
        sa.Column("ticket_number", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
    op.create_index("reply_grant_age", "reply_grant", ["desk_id", "expires_at"])
    op.create_index("reply_grant_person", "reply_grant", ["desk_id", "person"])
    op.create_table(
        "follower",
        _key("desk_id", sa.Integer),
        _key("ticket_id"),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "ticket_id", "address", "kind"),
    )


def _requesters() -> None:
    """People and organisations as data."""
    op.create_table(
        "organisation",
        _key("desk_id", sa.Integer),
        _key("id"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("domains", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
    op.create_index("organisation_key", "organisation", ["desk_id", "key"], unique=True)
    op.create_table(
        "organisation_domain",
        _key("desk_id", sa.Integer),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "domain"),
    )
    op.create_table(
        "person",
        _key("desk_id", sa.Integer),
        _key("id"),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("vip", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "id"),
    )
    op.create_index("person_by_address", "person", ["desk_id", "address"], unique=True)
    op.create_table(
        "person_address",
        _key("desk_id", sa.Integer),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk_id", "address"),
    )
    op.create_index("person_address_by_person", "person_address", ["desk_id", "person_id"])
