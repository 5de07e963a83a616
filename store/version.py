"""Which schema a database has, and what to say when it is not ours."""

from sqlalchemy import Engine

from itsm.errors import Permanent
from store.schema import metadata

HEAD = "0001_expand"
KNOWN = (
    HEAD,
)  # oldest first; a version that is not here was written by a newer triaged


def current(engine: Engine) -> str | None:
    """The version the database says it has, None when it has no schema at all."""
    with engine.connect() as connection:
        tables = {
            row[0]
            for row in connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            )
        }
        if "alembic_version" not in tables:
            return None if not tables else "unknown"
        found = connection.exec_driver_sql(
            "SELECT version_num FROM alembic_version"
        ).scalar()
        return str(found) if found else "unknown"


def ensure(engine: Engine) -> None:
    """Make the schema in an empty database; raises Permanent for one that is older or newer than this triaged."""
    found = current(engine)
    if found is None:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            metadata.create_all(connection, checkfirst=True)
            connection.exec_driver_sql(
                "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
            )
            connection.exec_driver_sql(
                f"INSERT OR IGNORE INTO alembic_version VALUES ('{HEAD}')"
            )
            connection.exec_driver_sql("COMMIT")
        return
    if found not in KNOWN:
        raise Permanent(
            f"the database has schema {found}, which this triaged does not know: it was written by a newer version; upgrade triaged"
        )
    if found != HEAD:
        raise Permanent(
            f"the database has schema {found}, this triaged needs {HEAD}: run `triaged db upgrade`"
        )
