"""Retention removes by class, in small commits, and adds what it removes to the totals."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import func, insert, select

from itsm.decision import Reasons
from itsm.envelope import Outcome
from store import budgets, idempotency, inbox, outcomes, parts, refused, retention, totals, verify
from store.identifiers import lowest_at
from store.instants import to_column
from store.retention import Swept
from store.schema import CHUNK_BYTES, metadata, outbox, outbox_raw
from store.settings import Retention
from store.store import Store

Arrive = Callable[..., int]


def sweep(store: Store, limit: int = 500) -> Swept:
    return store.write(lambda tx: retention.sweep(tx, Retention(), limit=limit)).result(10)


def count(store: Store, table: str) -> int:
    return store.read(lambda tx: tx.connection.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one())


def finish(store: Store, inbox_id: int, *ended: Outcome) -> None:
    named = [(inbox_id, seq, outcome) for seq, outcome in enumerate(ended)]
    store.write(lambda tx: outcomes.record(tx, named)).result(10)


def well(store: Store) -> bool:
    return store.read(lambda tx: list(verify.findings(tx))) == []


def test_raw_mail_goes_when_its_days_are_over_and_its_row_stays(store: Store, arrive: Arrive, clock: Callable[..., object]) -> None:
    done, waiting, aside = arrive(b"x" * (3 * CHUNK_BYTES)), arrive(), arrive()
    finish(store, done, Outcome.RECORDED)
    store.write(lambda tx: inbox.quarantine(tx, aside, "no parts")).result(10)
    clock.advance(days=89)  # type: ignore[attr-defined]
    recent = arrive()
    finish(store, recent, Outcome.RECORDED)
    assert sweep(store).total == 0
    clock.advance(days=2)  # type: ignore[attr-defined]
    assert sweep(store) == Swept(raw_mails=1)
    assert sweep(store).total == 0
    assert set(store.read(lambda tx: inbox.raw_bytes(tx, [done, waiting, aside, recent]))) == {waiting, aside, recent}
    assert count(store, "inbox") == 4
    assert well(store)


def test_the_bytes_of_one_mail_go_in_one_commit_however_small_the_batch(store: Store, arrive: Arrive, clock: Callable[..., object]) -> None:
    for _ in range(3):
        finish(store, arrive(b"x" * (2 * CHUNK_BYTES)), Outcome.RECORDED)
    clock.advance(days=91)  # type: ignore[attr-defined]
    removed = []
    while (swept := sweep(store, limit=3)).total:
        removed.append(swept.raw_mails)
        assert well(store)
    assert removed == [1, 1, 1]
    assert count(store, "raw") == 0


def test_finished_envelopes_go_and_both_laws_go_on_holding(store: Store, arrive: Arrive, clock: Callable[..., object]) -> None:
    first, second, waiting = arrive(), arrive(), arrive()
    finish(store, first, Outcome.LINKED, Outcome.DUPLICATE, Outcome.DUPLICATE)
    finish(store, second, Outcome.RECORDED)
    row = (first, 0, "user_message", Outcome.LINKED, None, Reasons(code="known", sentence="seen before"))
    store.write(lambda tx: parts.insert_many(tx, [row])).result(10)
    before = store.read(totals.balance)
    clock.advance(days=366)  # type: ignore[attr-defined]
    assert sweep(store).finished_rows == 2
    assert store.read(totals.balance) == before
    assert store.read(totals.removed) == {
        "accepted": 2, "done": 2, "parts": 4, "outcome:linked": 1, "outcome:duplicate": 2, "outcome:recorded": 1,
    }  # fmt: skip
    assert (count(store, "inbox"), count(store, "part"), count(store, "raw")) == (1, 0, 1)
    assert store.read(lambda tx: inbox.find(tx, waiting)) is not None
    assert well(store)


def test_a_commit_removes_a_bounded_number_of_parts(
    store: Store, arrive: Arrive, clock: Callable[..., object], monkeypatch: object
) -> None:
    monkeypatch.setattr(retention, "MAX_PARTS", 5)  # type: ignore[attr-defined]
    for _ in range(3):
        finish(store, arrive(), *[Outcome.RECORDED] * 4)
    clock.advance(days=366)  # type: ignore[attr-defined]
    assert [sweep(store).finished_rows for _ in range(4)] == [1, 1, 1, 0]


def put_outbox(store: Store, state: str, **fields: object) -> int:
    row_id = store.new_id()
    now = to_column(store.clock())
    row: dict[str, object] = {
        "desk_id": 1, "id": row_id, "ticket_id": 1, "ticket_number": 1001, "event": "reply", "state": state, "recipient": "a@x",
        "recipient_name": "", "message_id": f"{row_id}@x", "message_id_sha256": str(row_id).encode(), "reference_ids": "[]", "facts": "{}",
        "created_at": now, "due_at": now,
    }  # fmt: skip
    chunk = {"desk_id": 1, "outbox_id": row_id, "seq": 0, "chunk": b"mail"}
    store.write(lambda tx: tx.connection.execute(insert(outbox).values(row | fields)).rowcount).result(10)
    store.write(lambda tx: tx.connection.execute(insert(outbox_raw).values(chunk)).rowcount).result(10)
    return row_id


def test_bytes_of_sent_mail_go_and_those_that_may_be_sent_again_stay(store: Store, clock: Callable[..., object]) -> None:
    now = to_column(store.clock())
    put_outbox(store, "sent", sent_at=now)
    put_outbox(store, "suppressed", suppressed_because="dropped by a person")
    kept = [put_outbox(store, state) for state in ("queued", "dead", "held")]
    clock.advance(days=31)  # type: ignore[attr-defined]
    late = put_outbox(store, "sent", sent_at=to_column(store.clock()))
    assert sweep(store) == Swept(sent_bytes=2)
    left = store.read(lambda tx: list(tx.connection.execute(select(outbox_raw.c.outbox_id)).scalars()))
    assert left == [*kept, late]
    assert count(store, "outbox") == 6


def test_refused_bodies_repeat_keys_and_budgets_go_with_their_days(store: Store, clock: Callable[..., object]) -> None:
    key = ("answer/all", store.clock())
    store.write(lambda tx: refused.keep(tx, "am", "not JSON", b"x")).result(10)
    store.write(lambda tx: idempotency.remember(tx, "messages", "k", b"hash", 1)).result(10)
    store.write(lambda tx: budgets.spend(tx, {key: (1, 10)})).result(10)
    assert sweep(store).total == 0
    clock.advance(days=8, seconds=1)  # type: ignore[attr-defined]
    assert sweep(store) == Swept(refused=1)
    clock.advance(days=7)  # type: ignore[attr-defined]
    assert sweep(store) == Swept(budgets=1)
    clock.advance(days=400)  # type: ignore[attr-defined]
    assert sweep(store) == Swept(repeat_keys=1)
    assert sweep(store).total == 0


def test_batches_bound_what_one_commit_removes(store: Store, clock: Callable[..., object]) -> None:
    for number in range(5):
        store.write(lambda tx, n=number: idempotency.remember(tx, "messages", str(n), b"hash", n)).result(10)
    clock.advance(days=401)  # type: ignore[attr-defined]
    assert [sweep(store, limit=2).repeat_keys for _ in range(4)] == [2, 2, 1, 0]


def test_identifiers_of_an_instant_lie_above_its_bound(store: Store, clock: Callable[..., object]) -> None:
    now = store.clock()
    assert lowest_at(now) <= store.new_id() < lowest_at(now + timedelta(seconds=1))
    assert lowest_at(now - timedelta(days=5000)) == 0
