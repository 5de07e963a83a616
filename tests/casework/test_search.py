"""Search finds the same tickets, the newest first, on either engine."""

import pytest
from sqlalchemy import delete

from itsm.permission import Visible
from itsm.words import terms
from store import search, tickets


@pytest.fixture
def filled(desk, mail):
    texts = [
        ("Printer 4F jams", "Es hängt: Grüße"), ("printer toner", "low"), ("Disk on db01.corp.example", "full, see http://x/'y'"),
        ("日本語", "メール"), ("Nothing", "\x27 OR 1=1 -- & | ! ( ) : * \" NEAR"),
    ]  # fmt: skip
    for number, (subject, text) in enumerate(texts):
        headers = {"Content_Type": "text/plain; charset=utf-8"}
        desk.put(mail(f"s{number}", subject, text, **headers))
    desk.triage()
    return desk


def numbers(desk, query, **more):
    return [each.number for each in desk.store.read(lambda tx: tickets.listed(tx, terms=terms(query), **more))]


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("printer", [1002, 1001]), ("PRINTER toner", [1002]), ("jams printer", [1001]), ("print*", [1002, 1001]), ("print", []),
        ("haengt", []), ("hangt", [1001]), ("GRUSSE", [1001]), ("db01", [1003]), ("db01.corp", [1003]), ("corp example", [1005, 1004, 1003, 1002, 1001]),
        ("日", [1004]), ("メール", [1004]), ("", []), ("'", []), ('"*', []), ("near", [1005]), ("near or", [1005]), ("not printer", []),
        ("ana@corp.example toner", [1002]), ("zebra", []),
    ],
)  # fmt: skip
def test_a_query_finds_the_tickets_with_all_its_words(filled, query, hits):
    assert numbers(filled, query) == hits


def test_later_words_are_found_too_and_pages_go_on(filled):
    filled.act("note", 1001, "The zebra did it.")
    assert numbers(filled, "zebra") == numbers(filled, "zebra printer") == [1001]
    first = filled.store.read(lambda tx: tickets.listed(tx, terms=terms("printer"), limit=1))
    assert numbers(filled, "printer", before_id=first[0].id) == [1001]
    assert numbers(filled, "printer", state="closed") == []


def test_a_source_does_not_find_by_words_it_may_not_read(filled):
    filled.post(b'{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"Disk"},"startsAt":"2026-03-23T10:00:00Z"}]}')
    filled.triage()
    filled.act("note", 1006, "zebra")
    assert numbers(filled, "zebra") == [1006]
    assert numbers(filled, "zebra", visible=Visible(source="am")) == []
    assert numbers(filled, "disk", visible=Visible(source="am")) == [1006]
    assert numbers(filled, "printer", visible=Visible(organisations=("acme",))) == []


def test_what_was_there_before_is_found_after_an_upgrade(filled):
    queries = ("printer", "grusse", "corp example", "near", "toner")
    before = [numbers(filled, each) for each in queries]

    def forget(tx):
        tx.connection.execute(delete(search.search_words).where(search.search_words.c.desk_id == tx.desk_id))

    filled.store.write(forget).result(10)
    assert [numbers(filled, each) for each in queries] == [[]] * len(queries)
    for _ in range(2):  # again changes nothing
        filled.store.write(lambda tx: search.backfill(tx.connection, tx.desk_id)).result(10)
        assert [numbers(filled, each) for each in queries] == before
