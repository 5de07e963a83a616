"""Which schema a database has, and what to say when it is not ours."""

from sqlalchemy import Column, Connection, Engine, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect

from itsm.errors import Permanent
from store import statistics
from store.exclusive import exclusive
from store.people_schema import WHOLE

HEAD = "0008_expand"
KNOWN = (
    "0001_expand",
    "0002_expand",
    "0003_expand",
    "0004_expand",
    "0005_expand",
    "0006_expand",
    "0007_expand",
    HEAD,
)  # oldest first; a version that is not here was written by a newer triaged
_version = Table(  # Alembic's own table, as it makes it
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
UNKNOWN = "unknown"  # a database with tables, none of them ours


def current(engine: Engine) -> str | None:
    """The version the database says it has, None when it is empty."""
    with engine.connect() as connection:
        return _current(connection)


def _current(connection: Connection) -> str | None:
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        return UNKNOWN if tables else None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return str(found) if found else UNKNOWN


def assert_known(found: str) -> None:
    """Raises Permanent for a schema that a newer triaged, or another program, has written."""
    if found == UNKNOWN:
        raise Permanent("the database has tables, and none of them are triaged's: choose another [store] path or database")
    if found not in KNOWN:
        raise Permanent(
            f"the database has schema {found}, which this triaged does not know: it was written by a newer version; upgrade triaged"
        )


def ensure(engine: Engine) -> None:
    """Make the schema in an empty database; raises Permanent for one that is older or newer than this triaged."""
    found = current(engine) or _create(engine)
    assert_known(found)
    if found != HEAD:
        raise Permanent(f"the database has schema {found}, this triaged needs {HEAD}: stop triaged and run `triaged db upgrade`")


def _create(engine: Engine) -> str:
    """The whole schema in one commit, as the migrations would make it (a test compares them) without loading them."""
    with engine.connect() as connection, exclusive(connection):
        found = _current(connection)  # another process may have been faster
        if found is None:
            WHOLE.create_all(connection, checkfirst=False)
            _version.create(connection)
            connection.execute(insert(_version).values(version_num=HEAD))
            statistics.state(connection)
        return found or HEAD
