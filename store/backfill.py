"""What an upgrade fills in for the rows there are, in the commit of the migrations (a migration itself only expands)."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, text

from store import search
from store.schema import DESK_ID

_BY_PERSON = text(
    "UPDATE ticket SET organisation = coalesce((SELECT person.organisation FROM person_address "
    "JOIN person ON person.desk_id = person_address.desk_id AND person.id = person_address.person_id "
    "WHERE person_address.desk_id = ticket.desk_id AND person_address.address = ticket.requester), '') WHERE requester <> ''"
)
_DOMAINS = text(
    "SELECT organisation_domain.desk_id, organisation_domain.domain, organisation.key FROM organisation_domain JOIN organisation "
    "ON organisation.desk_id = organisation_domain.desk_id AND organisation.id = organisation_domain.organisation_id"
)
_BY_DOMAIN = text(
    "UPDATE ticket SET organisation = :key WHERE desk_id = :desk_id AND organisation = '' AND requester <> '' "
    "AND substr(requester, length(requester) - :length) = :domain"
)


def organisations(connection: Connection) -> None:
    """Whose the tickets are: by their requester, where that is known and of an organisation; else by the domain of the address."""
    connection.execute(_BY_PERSON)
    for row in connection.execute(_DOMAINS).all():
        values = {"key": row.key, "desk_id": row.desk_id, "length": len(row.domain), "domain": f"@{row.domain}"}
        connection.execute(_BY_DOMAIN, values)


def words(connection: Connection) -> None:
    """The index of words, which is the engine's own, and the words of the entries there are."""
    search.make_index(connection)
    search.backfill(connection, DESK_ID)


FILLS: dict[str, Callable[[Connection], None]] = {
    "0004_expand": organisations,
    "0005_expand": words,
}  # by the version that brought what is filled


def fill(connection: Connection, versions: Sequence[str]) -> None:
    """Fill in what these versions brought, the oldest first."""
    for each in versions:
        if each in FILLS:
            FILLS[each](connection)
