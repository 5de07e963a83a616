"""The API: the organisation of a ticket, answers kept under their key, the alerts of a ticket."""

import sqlalchemy as sa
from alembic import op

revision = "0004_expand"
down_revision = "0003_expand"


def upgrade() -> None:
    """Add what N-1 need not know, and say of the tickets there are whose they are."""
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
    _organisations()


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _organisations() -> None:
    """By the requester, where they are known and of one; else by the domain of their address."""
    op.execute(
        "UPDATE ticket SET organisation = coalesce((SELECT person.organisation FROM person_address "
        "JOIN person ON person.desk_id = person_address.desk_id AND person.id = person_address.person_id "
        "WHERE person_address.desk_id = ticket.desk_id AND person_address.address = ticket.requester), '') WHERE requester <> ''"
    )
    by_domain = sa.text(
        "UPDATE ticket SET organisation = :key WHERE desk_id = :desk_id AND organisation = '' AND requester <> '' "
        "AND substr(requester, length(requester) - :length) = :domain"
    )
    query = sa.text(
        "SELECT organisation_domain.desk_id, organisation_domain.domain, organisation.key FROM organisation_domain JOIN organisation "
        "ON organisation.desk_id = organisation_domain.desk_id AND organisation.id = organisation_domain.organisation_id"
    )
    connection = op.get_bind()
    for row in connection.execute(query).all():
        values = {"key": row.key, "desk_id": row.desk_id, "length": len(row.domain), "domain": f"@{row.domain}"}
        connection.execute(by_domain, values)
