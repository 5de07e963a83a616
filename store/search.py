"""Search: one row of words for every entry, beside it an index of the engine's own (design 5, ADR-0013).

SQLite has FTS5 over the rows, PostgreSQL the words as tsvector under GIN. Words are cut before they come here, so both find the same.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    Text,
    and_,
    cast,
    column,
    event,
    exists,
    insert,
    or_,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR

from itsm.permission import Visible
from itsm.words import Term, words
from store.bulk import BulkInsert
from store.exclusive import is_postgresql
from store.schema import entry, metadata, ticket
from store.transaction import Tx

ROWS_AT_ONCE = 1_000

search_words = Table(
    "search_words",
    metadata,
    Column("desk_id", Integer, primary_key=True, autoincrement=False),
    Column(
        "id", BigInteger, primary_key=True, autoincrement=False
    ),  # of the entry, or of the ticket where it opened without words or from alerts
    Column("ticket_id", BigInteger, nullable=False),
    Column("words", Text().with_variant(TSVECTOR(), "postgresql"), nullable=False),  # distinct, a space between
)
_SQLITE = (  # words come cut and in lower case: the tokenizer has only to part them at the spaces
    "CREATE VIRTUAL TABLE search_index USING fts5(words, content='search_words', content_rowid='id', tokenize='ascii', detail=none)",
    """CREATE TRIGGER search_words_insert AFTER INSERT ON search_words
    BEGIN INSERT INTO search_index (rowid, words) VALUES (new.id, new.words); END""",
    """CREATE TRIGGER search_words_delete AFTER DELETE ON search_words
    BEGIN INSERT INTO search_index (search_index, rowid, words) VALUES ('delete', old.id, old.words); END""",
)
_POSTGRESQL = ("CREATE INDEX search_words_index ON search_words USING gin (words)",)
_index = table("search_index", column("rowid"), column("search_index"))

Row = tuple[int, int, str]  # id, ticket id, words
_insert = BulkInsert(search_words, "desk_id", "id", "ticket_id", "words")


def make_index(connection: Connection) -> None:
    """Make the index of this engine over the empty table; a first start and an upgrade do it alike."""
    for statement in _POSTGRESQL if is_postgresql(connection) else _SQLITE:
        connection.exec_driver_sql(statement)


@event.listens_for(search_words, "after_create")
def _after_create(_target: Table, connection: Connection, **_more: object) -> None:
    make_index(connection)


def keep_many(tx: Tx, rows: Sequence[Row]) -> None:
    """Keep the words of entries, in one statement and in the transaction that writes the entries."""
    _insert(tx, [(tx.desk_id, *row) for row in rows])


def found(tx: Tx, terms: Sequence[Term], visible: Visible) -> ColumnElement[bool]:
    """The condition that a ticket has one entry with every term; of a source's view only words that it may read count."""
    hits = select(search_words.c.ticket_id).where(search_words.c.desk_id == tx.desk_id, _matches(tx, terms))
    if visible.source is not None:  # attack A50: words that are not shown are not found either
        public = exists().where(entry.c.desk_id == search_words.c.desk_id, entry.c.id == search_words.c.id, entry.c.visibility == "public")
        hits = hits.where(or_(search_words.c.id == search_words.c.ticket_id, public))
    return ticket.c.id.in_(hits)


def _matches(tx: Tx, terms: Sequence[Term]) -> ColumnElement[bool]:
    if is_postgresql(tx.connection):
        query = " & ".join(f"'{each.word}'{':*' if each.prefix else ''}" for each in terms)
        return search_words.c.words.op("@@", is_comparison=True)(cast(query, TSQUERY()))
    query = " AND ".join(f'"{each.word}"{" *" if each.prefix else ""}' for each in terms)
    return search_words.c.id.in_(select(_index.c.rowid).where(_index.c.search_index.op("MATCH", is_comparison=True)(query)))


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """How far a back-fill has come: which rows it looks at, the last of them, and how many had no words so far."""

    of: int = 0  # 0: entries, 1: tickets
    last: int = 0
    rows: int = 0


def backfill(connection: Connection, desk_id: int) -> None:
    """Keep the words of all entries and tickets there are, for an upgrade: in its one transaction."""
    done = Filled()
    while done.of < ALL:
        done = fill_some(connection, desk_id, done)


def fill_some(connection: Connection, desk_id: int, done: Filled, limit: int = ROWS_AT_ONCE) -> Filled:
    """Keep the words of the next rows that have none, as code of the version before left them; over when `of` is ALL."""
    query, key = _WITHOUT_WORDS[done.of](desk_id)
    rows = connection.execute(query.where(key > done.last).order_by(key).limit(limit)).all()
    if not rows:
        return Filled(of=done.of + 1, rows=done.rows)
    values = [{"desk_id": desk_id, "id": row[0], "ticket_id": row[1], "words": words(row[2:])} for row in rows]
    connection.execute(insert(search_words), values)
    return Filled(of=done.of, last=rows[-1][0], rows=done.rows + len(rows))


def _entries_without(desk_id: int) -> tuple[Select[Any], ColumnElement[int]]:
    missing = ~exists().where(search_words.c.desk_id == entry.c.desk_id, search_words.c.id == entry.c.id)
    query = (
        select(entry.c.id, entry.c.ticket_id, ticket.c.subject.label("about"), ticket.c.requester, entry.c.author, entry.c.author_name,
               entry.c.subject, entry.c.text)
        .join(ticket, and_(ticket.c.desk_id == entry.c.desk_id, ticket.c.id == entry.c.ticket_id))
        .where(entry.c.desk_id == desk_id, missing)
    )  # fmt: skip
    return query, entry.c.id


def _tickets_without(desk_id: int) -> tuple[Select[Any], ColumnElement[int]]:
    """Those that opened without words or from alerts: their own words stand under their own number."""
    silent = (ticket.c.group_key != "") | ~exists().where(entry.c.desk_id == ticket.c.desk_id, entry.c.ticket_id == ticket.c.id)
    unseen = ~exists().where(search_words.c.desk_id == ticket.c.desk_id, search_words.c.id == ticket.c.id)
    query = select(ticket.c.id, ticket.c.id, ticket.c.subject, ticket.c.requester, ticket.c.requester_name)
    return query.where(ticket.c.desk_id == desk_id, silent, unseen), ticket.c.id


_WITHOUT_WORDS = (_entries_without, _tickets_without)
ALL = len(_WITHOUT_WORDS)
