"""The state cache: with it and without it the same outcomes and the same state, whatever happens in between."""

import asyncio
import json
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, update

from casework.resends import PLACES_A_BODY, Resends
from intake.worker import Triage
from itsm.ticket import State
from rules.monitoring import EventPolicy
from store import series_rows, verify
from store.exclusive import is_postgresql
from store.schema import DESK_ID, inbox, series
from store.settings import StoreSettings
from tests.casework.desks import TestDesk

NAMES = ("cpu", "disk", "net")


def body(*alerts, external=""):
    """Alerts as (name, severity, resolved)."""
    told = [
        {
            "status": "resolved" if resolved else "firing",
            "labels": {"alertname": name, "severity": severity},
            "fingerprint": name,
            "startsAt": "2026-03-23T10:00:00Z",
            "endsAt": "2026-03-23T10:20:00Z" if resolved else "0001-01-01T00:00:00Z",
        }
        for name, severity, resolved in alerts
    ]
    return json.dumps({"version": "4", "alerts": told, "externalURL": external}).encode()


def many(count, severity="warning"):
    return body(*((f"a{number}", severity, False) for number in range(count)))


def outcomes(desk):
    return desk.store.read(lambda tx: list(tx.connection.execute(select(inbox.c.outcomes).order_by(inbox.c.id)).scalars()))


def states(desk, *, counts=True):
    keys = desk.store.read(lambda tx: [(row.source, row.series_key) for row in tx.connection.execute(select(series))])
    rows = desk.store.read(lambda tx: series_rows.by_keys(tx, keys))
    shown = []
    for key, row in sorted(rows.items()):
        instances = [
            (each.started_at, each.ended_at, each.fired, each.severity, *((each.severity_at, each.event_count) if counts else ()))
            for each in row.state.instances
        ]
        shown.append((key, row.open, instances, row.state.resolves, row.state.content_sha256))
        shown.append((row.state.event_count, row.state.last_seen_at) if counts else None)
    return shown


def incidents(desk, *, counts=True):
    return [
        (each.group_key, each.state, each.severity, each.priority, each.reopen_count, each.event_count if counts else 0)
        for each in desk.tickets()
    ]


def statements(desk, work):
    """The statements that something takes, those of the claim and of the writer's own left out."""
    seen = []

    def note(_connection, _cursor, statement, _parameters, _context, _many):
        seen.append(statement)

    for engine in (desk.store.engine, desk.store._readers):
        event.listen(engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        for engine in (desk.store.engine, desk.store._readers):
            event.remove(engine, "before_cursor_execute", note)
    return [each for each in seen if not each.startswith(("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"))]


@pytest.fixture
def cache():
    return Resends()


async def no_parser(_name, requests):
    pytest.fail(f"{len(requests)} envelopes went to the parser")


def test_an_unchanged_resend_is_a_duplicate_without_the_parser(desk, cache):
    desk.post(many(3))
    desk.triage(resends=cache)
    for _ in range(4):
        desk.post(many(3))
    desk.triage(parse=no_parser, resends=cache)
    assert outcomes(desk) == ["CCC", *["DDD"] * 4]
    assert [each.event_count for each in desk.tickets()] == [5, 5, 5]
    assert not desk.store.read(lambda tx: list(verify.findings(tx)))


def test_a_batch_of_resends_takes_as_many_statements_as_one_resend(desk, cache):
    desk.post(many(50))
    desk.triage(resends=cache)

    def resend(times):
        for _ in range(times):
            desk.post(many(50))
        desk.store.write(lambda tx: None).result()
        return statements(desk, lambda: desk.triage(resends=cache, wait=False))

    resend(1)  # the first looks at the versions
    assert len(resend(1)) == len(resend(20)) > 0


def test_a_batch_of_new_alerts_takes_as_many_statements_as_a_few(desk):
    def fresh(count, severity):
        desk.post(body(*((f"{severity}{number}", severity, False) for number in range(count))))
        return statements(desk, lambda: desk.triage(wait=False))

    fresh(1, "info")  # the first ever makes the counter of numbers
    few = len(fresh(10, "critical"))  # a block of rows and some left over: two statements a table (store.bulk)
    assert len(fresh(90, "warning")) == few <= 2 * len(fresh(1, "error"))


def test_a_delivery_that_changed_and_came_back_is_judged_again(desk, cache):
    for severity in ("warning", "critical", "warning"):
        desk.post(body(("disk", severity, False)))
        desk.triage(resends=cache)
    assert outcomes(desk) == ["C", "A", "A"]


def test_without_the_look_at_the_version_it_would_be_missed(desk, cache, monkeypatch):
    desk.post(body(("disk", "warning", False)))
    desk.triage(resends=cache)
    desk.post(body(("disk", "critical", False)))
    desk.triage(resends=cache)
    monkeypatch.setattr(series_rows, "versions", lambda tx, ids: dict.fromkeys(ids, 1))
    desk.post(body(("disk", "warning", False)))
    desk.triage(resends=cache)
    assert outcomes(desk) == ["C", "A", "D"]


def one_batch(desk, cache, parse=None):
    """Post an alert and triage that, without the time to write counts."""
    desk.post(body(("disk", "warning", False)))
    worker = Triage(
        desk.store,
        run_batch=parse or desk.parse,
        casework=lambda: desk.casework,
        mappings=dict,
        on_outgoing=lambda: None,
        resends=cache,
    )
    asyncio.run(worker.once())


def looks_at_versions(seen):
    return sum(each.startswith("SELECT series.id, series.version") for each in seen)


def test_a_body_is_looked_at_once_as_long_as_no_series_is_written(desk, cache):
    one_batch(desk, cache)
    again = [looks_at_versions(statements(desk, lambda: one_batch(desk, cache, no_parser))) for _ in range(3)]
    assert again == ([1, 1, 1] if is_postgresql(desk.store.engine) else [1, 0, 0])
    desk.post(body(("other", "warning", False)))
    desk.triage(resends=cache)
    assert looks_at_versions(statements(desk, lambda: one_batch(desk, cache, no_parser))) == 1
    assert outcomes(desk) == ["C", "D", "D", "D", "C", "D"]


@pytest.mark.parametrize("noticed", [True, False])
def test_what_another_connection_writes_is_noticed_by_the_stamp(desk, cache, monkeypatch, noticed):
    for _ in range(2):
        one_batch(desk, cache)
    if not noticed:  # the defence is switched off, on an engine that would look each time as well
        (known,) = cache._bodies.values()
        known.checked = 1
        monkeypatch.setattr(series_rows, "stamp", lambda tx: 1)
    with desk.store.engine.begin() as other:
        other.execute(update(series).where(series.c.desk_id == DESK_ID).values(version=series.c.version + 1))
    if noticed:
        with pytest.raises(pytest.fail.Exception):
            one_batch(desk, cache, no_parser)
    else:
        one_batch(desk, cache, no_parser)
        assert outcomes(desk) == ["C", "D", "D"]


def test_bodies_that_are_known_are_bounded_too(desk, cache, monkeypatch):
    monkeypatch.setattr("casework.resends.MAX_PLACES", 2 * (1 + PLACES_A_BODY))
    names = [("a", "warning", False), ("b", "warning", False), ("c", "warning", False)]
    for each in names * 2:
        desk.post(body(each))
        desk.triage(resends=cache)
    assert len(cache._bodies) == 2
    desk.post(body(*names))  # another body of known deliveries; both that were kept must go
    desk.triage(parse=no_parser, resends=cache)
    assert len(cache._bodies) == 1
    assert cache._places == 3 + PLACES_A_BODY
    assert [each.event_count for each in desk.tickets()] == [3, 3, 3]


def test_a_change_in_the_same_batch_is_judged_in_its_place(desk, cache):
    desk.post(body(("disk", "warning", False)))
    desk.triage(resends=cache)
    for severity in ("warning", "critical", "warning"):
        desk.time += timedelta(seconds=1)
        desk.post(body(("disk", severity, False)))
    desk.triage(resends=cache)
    assert outcomes(desk) == ["C", "D", "A", "A"]


def test_other_rules_forget_what_was_known(desk, cache):
    desk.post(body(("disk", "warning", False)))
    desk.triage(resends=cache)
    desk.casework = msgspec.structs.replace(desk.casework, sources={"am": EventPolicy(expire_after_seconds=60)})
    desk.post(body(("disk", "warning", False)))
    with pytest.raises(pytest.fail.Exception):
        desk.triage(parse=no_parser, resends=cache)


def test_the_cache_is_bounded_and_forgets_the_oldest(desk):
    cache = Resends(limit=2)
    desk.post(many(3))
    desk.triage(resends=cache)
    assert len(cache._known) == 2
    desk.post(body(("a0", "warning", False)))
    with pytest.raises(pytest.fail.Exception):
        desk.triage(parse=no_parser, resends=cache)


def test_a_resolve_after_resends_finds_their_counts(desk, cache):
    desk.post(many(1))
    desk.triage(resends=cache)
    desk.post(many(1))
    desk.post(body(("a0", "warning", True)))
    desk.triage(resends=cache)
    (ticket,) = desk.tickets()
    assert (ticket.state, ticket.event_count, cache.touched) == (State.RESOLVED, 3, 0)


POSTS = st.tuples(
    st.just("post"),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["warning", "critical"]), st.booleans()), min_size=1, max_size=4),
)
REPEATS = st.tuples(st.just("repeat"), st.integers(1, 3))
DOINGS = st.lists(st.one_of(POSTS, REPEATS, REPEATS, st.tuples(st.sampled_from(["triage", "restart", "other"]), st.none())), max_size=25)


def play(folder, doings, caches, *, door=False):
    """The doings on a desk of its own; `caches` makes one for each of two workers; with `door` it ends what the first of them knows."""
    desk = TestDesk(StoreSettings(path=str(folder)))
    try:
        workers = {"triage": caches(), "other": caches()}
        last = [("cpu", "warning", False)]

        def post(what):
            if door:
                desk.deliver(body(*what), workers["triage"])
            else:
                desk.post(body(*what))

        for doing, what in [*doings, ("triage", None)]:
            if doing in ("restart", "other"):  # seconds have gone by, in which a worker writes what the door counted; a crash may lose it
                desk.store.write(workers["triage"].flush).result()
            if doing == "post":
                last = what
                post(last)
            elif doing == "repeat":
                for _ in range(what):
                    post(last)
            elif doing == "restart":
                workers["triage"] = caches()
            else:
                desk.triage(resends=workers[doing], wait=False)  # the time must not tell how many batches there were
            desk.time += timedelta(seconds=7)
        desk.store.write(lambda tx: None).result()  # what follows a commit is done before the next write, after its caller was told
        assert all(each.touched == 0 for each in workers.values())
        return outcomes(desk), states(desk), incidents(desk)
    finally:
        desk.store.close()


@settings(deadline=None, max_examples=settings.default.max_examples // 3)
@given(DOINGS)
def test_with_it_and_without_it_the_same_comes_out(tmp_path_factory, doings):
    folder = tmp_path_factory.mktemp("resends")
    with_cache = play(folder / "with", doings, Resends)
    without = play(folder / "without", doings, lambda: Resends(limit=0))
    assert with_cache == without
    assert play(folder / "door", doings, Resends, door=True) == without
