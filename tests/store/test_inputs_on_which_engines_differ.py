"""Input that one engine takes and the other refuses: both behave the same, or the input never gets there."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from store import credentials, history, idempotency, inbox, outbox, series_rows, threads, tickets
from store.instants import to_column
from store.store import Store
from tests.casework.desks import make_desk

Arrive = Callable[..., int]
__all__ = ["make_desk"]
LONG = "<" + "x" * 5_000 + "@example.org>"


@pytest.mark.parametrize(
    "text", ["nul\0inside", "lone \udcff surrogate", "\ud800", "\U0001f600 beyond the plane", "\u202e\ufeff", "e\u0301 and é"]
)
def test_text_that_no_database_takes_is_cleaned_before_it_gets_there(store: Store, arrive: Arrive, text: str) -> None:
    inbox_id = arrive(reverse_path=text, peer=text, login=text, forward_paths=(text,), message_id=text)
    found = store.read(lambda tx: inbox.find(tx, inbox_id))
    assert found is not None
    kept = text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    envelope = found.envelope
    assert (envelope.reverse_path, envelope.peer, envelope.login, envelope.forward_paths, envelope.message_id) == (
        kept,
        kept,
        kept,
        (kept,),
        kept,
    )
    assert [row.envelope.id for row in store.read(lambda tx: inbox.find_by_message_id(tx, text))] == [envelope.id]


def test_bytes_are_kept_as_they_are(store: Store, arrive: Arrive) -> None:
    body = bytes(range(256)) * 3_000
    inbox_id = arrive(body)
    assert store.read(lambda tx: inbox.raw_bytes(tx, [inbox_id])) == {inbox_id: body}
    empty = arrive(b"")
    assert store.read(lambda tx: inbox.raw_bytes(tx, [empty])) == {empty: b""}


def test_identifiers_of_five_thousand_characters_are_found(store: Store, arrive: Arrive) -> None:
    inbox_id = arrive(message_id=LONG)
    assert [row.envelope.id for row in store.read(lambda tx: inbox.find_by_message_id(tx, LONG))] == [inbox_id]
    store.write(lambda tx: idempotency.remember(tx, "http", LONG, b"d", inbox_id)).result(60)
    assert store.read(lambda tx: idempotency.first_answer(tx, "http", LONG, b"d")) == inbox_id
    assert store.read(lambda tx: series_rows.by_keys(tx, [("am", LONG)])) == {}


@pytest.mark.parametrize("count", [0, 1, 500, 70_000])
def test_lists_of_any_length_are_asked_for(store: Store, arrive: Arrive, count: int) -> None:
    inbox_id = arrive()
    ids = [*range(1, count), inbox_id]
    assert list(store.read(lambda tx: inbox.raw_bytes(tx, ids))) == [inbox_id]
    assert store.read(lambda tx: tickets.by_ids(tx, range(count))) == {}
    assert store.read(lambda tx: threads.seen_before(tx, (b"%032d" % each for each in range(count)))) == {}
    assert store.read(lambda tx: outbox.rendered_bytes(tx, range(count))) == {}


def test_a_time_without_zone_never_gets_to_a_column() -> None:
    with pytest.raises(TypeError, match="offset-naive"):
        to_column(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("instant", [datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_instants_at_the_ends_of_time_are_kept(store: Store, arrive: Arrive, instant: datetime) -> None:
    inbox_id = arrive(received_at=instant)
    found = store.read(lambda tx: inbox.find(tx, inbox_id))
    assert found is not None
    assert found.envelope.received_at == instant


def test_streams_come_in_the_order_of_their_octets(store: Store) -> None:
    names = ["ticket:10", "ticket:9", "access", "Zebra", "über", "a-b", "a_b", "aB"]
    store.write(lambda tx: history.append_many(tx, [(name, "k", "a", (), b"") for name in names])).result(60)
    heads = history.history_head
    found = store.read(lambda tx: tx.connection.execute(heads.select().order_by(heads.c.stream)).all())
    assert [row.stream for row in found] == sorted(names)


def test_case_and_spaces_at_the_end_tell_names_apart(store: Store) -> None:
    for name in ("App", "app", "app "):
        store.write(lambda tx, name=name: credentials.create_token(tx, name, scopes=("admin",), acts_as="operator")).result(60)
    assert {each.name for each in store.read(credentials.list_tokens)} == {"App", "app", "app "}


def test_a_mail_with_everything_at_once_becomes_a_ticket(make_desk) -> None:
    desk = make_desk()
    long_address = "a" * 3_000 + "@" + "b" * 3_000 + ".example"
    headers = b"From: " + long_address.encode() + b"\r\nMessage-ID: " + LONG.encode() + b"\r\nSubject: nul\0 \xff \xed\xa0\x80\r\n"
    desk.put(
        headers + b"References: " + b" ".join(b"<%d@x>" % each for each in range(2_000)) + b"\r\n\r\nbody\0 \xff\r\n", sender=long_address
    )
    desk.triage()
    assert len(desk.tickets()) == 1
