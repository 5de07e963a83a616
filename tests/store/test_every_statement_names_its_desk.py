"""Every statement on a desk table names its desk: the suite watches all of them, and here the watch is shown to bite."""

import pytest
from sqlalchemy import event, select, text

from store import inbox
from store.schema import inbox as table
from store.store import Store
from tests import desk_statements


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ("SELECT inbox.id FROM inbox WHERE inbox.desk_id = ? AND inbox.id = ?", ()),
        ("SELECT inbox.desk_id, inbox.id FROM inbox WHERE inbox.id = ?", ("inbox",)),
        ("SELECT * FROM inbox JOIN raw ON raw.inbox_id = inbox.id WHERE inbox.desk_id = 1", ("raw",)),
        ("SELECT * FROM inbox JOIN raw ON raw.desk_id = inbox.desk_id WHERE inbox.desk_id = 1", ()),
        (
            "SELECT 1 FROM outbox WHERE outbox.desk_id = 1 AND EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.id < outbox.id)",
            ("earlier",),
        ),
        ("UPDATE ticket SET state = ? WHERE ticket.id = ?", ("ticket",)),
        ("UPDATE ticket SET state = ?, organisation=? WHERE ticket.desk_id = ?", ()),  # a column called like a table
        ("DELETE FROM timer WHERE timer.due_at < 5", ("timer",)),
        ("DELETE FROM timer WHERE desk_id = 1 AND due_at < 5", ()),
        ("INSERT INTO raw (inbox_id, seq, chunk) VALUES (?, ?, ?)", ("raw",)),
        ("INSERT INTO raw (desk_id, inbox_id, seq, chunk) VALUES (?, ?, ?, ?)", ()),
        ("SELECT version_num FROM alembic_version", ()),
        ("CREATE TABLE inbox (id integer)", ()),
    ],
)
def test_a_statement_is_judged_by_its_words(statement: str, missing: tuple[str, ...]) -> None:
    assert desk_statements.without_desk(statement) == missing


def test_a_statement_of_the_store_without_its_desk_fails_and_without_the_watch_it_would_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(tx, inbox_id):
        return tx.connection.execute(select(table.c.id).where(table.c.id == inbox_id)).first()

    code = forgetful.__code__.replace(co_filename=str(desk_statements.ROOT / "store" / "forgetful.py"))
    monkeypatch.setattr(forgetful, "__code__", code)
    with pytest.raises(AssertionError, match="without desk_id on inbox"):
        store.read(lambda tx: forgetful(tx, 1))
    assert store.read(lambda tx: inbox.find(tx, 1)) is None
    event.remove(desk_statements.Engine, "before_cursor_execute", desk_statements._before)
    try:
        assert store.read(lambda tx: forgetful(tx, 1)) is None
    finally:
        desk_statements.watch()


def test_what_a_test_itself_says_is_not_looked_at(store: Store) -> None:
    assert store.read(lambda tx: tx.connection.execute(text("SELECT count(*) FROM inbox")).scalar()) == 0
