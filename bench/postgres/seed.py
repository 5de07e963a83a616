"""A desk of many tickets, made by the database itself, and new mails handled on it."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from casework.context import Casework
from casework.handle import handle
from casework.part import Part
from intake.child import ParseRequest, ParseResult, parse_one
from itsm.envelope import Channel, Envelope
from itsm.service import Desk, Team
from prove.postgres import PostgresServer
from rules.ruleset import compile_ruleset
from rules.settings import RulesSettings
from store import inbox
from store.credentials import signing_keys
from store.settings import PostgresSettings, StoreSettings
from store.store import Store
from triaged import clock

DATABASE = "seeded"
BATCH = 100
SEED = (
    (
        "INSERT INTO ticket SELECT 1, n, n, 'incident', CASE WHEN n % 50 = 0 THEN 'new' ELSE 'closed' END, 'subject ' || n, 3, 3, 5, "
        "'p' || n % 10000 || '@x.example', 'Person', 'desk', '', '', '[]', 'smtp', '', '', 0, 0, '', '', NULL, n, n, NULL, NULL, NULL, NULL, 1 "
        "FROM generate_series(1, {count}) AS n"
    ),
    (
        "INSERT INTO mail_seen SELECT 1, sha256(('m' || n)::bytea), n, sha256('c'::bytea), sha256('p'::bytea), n, 'p' || n % 10000 || '@x.example', n "
        "FROM generate_series(1, {count}) AS n"
    ),
    (
        "INSERT INTO entry SELECT 1, n, n, 'inbound', 'public', 'p' || n % 10000 || '@x.example', 'Person', true, 'human', 'subject', repeat('words ', 20), "
        "'words', '', NULL, NULL, NULL, NULL, n FROM generate_series(1, {count}) AS n"
    ),
    "INSERT INTO history_head SELECT 1, 'ticket:' || n, 1, sha256('h'::bytea) FROM generate_series(1, {count}) AS n",
    "INSERT INTO counter VALUES (1, 'ticket', {count} + 1001)",
    "VACUUM ANALYZE",
)


@contextmanager
def seeded(server: PostgresServer, tickets: int) -> Iterator[Store]:
    """A store with so many tickets, two of a hundred open, each with its mail and its words."""
    settings = PostgresSettings(url=server.make_database(DATABASE), writers=1)
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        Store(StoreSettings(path=folder, postgres=settings), clock=clock.now).close()
        for statement in SEED:
            server.sql(statement.format(count=tickets), database=DATABASE)
        store = Store(StoreSettings(path=str(Path(folder)), postgres=settings), clock=clock.now)
        try:
            yield store
        finally:
            store.close()


def handle_seconds(store: Store, count: int) -> float:
    """Wall time of so many new mails through `handle` and its commits, in batches, after one batch that warms up."""
    keys = store.write(signing_keys).result()
    ruleset, errors = compile_ruleset(RulesSettings())
    assert not errors
    desk = Desk(name="Bench", address="help@localhost", domain="localhost", teams=(Team(key="desk", name="Desk"),))
    casework = Casework(ruleset=ruleset, desk=desk, keys=keys)
    batches = [_parts(store, at) for at in range(0, count + BATCH, BATCH)]
    store.write(lambda tx: handle(tx, batches[0], casework)).result()
    began = time.perf_counter()
    for batch in batches[1:]:
        store.write(lambda tx, batch=batch: handle(tx, batch, casework)).result()  # type: ignore[misc]  # mypy sees no default here
    return time.perf_counter() - began


def _parts(store: Store, first: int) -> list[Part]:
    parts = []
    for number in range(first, first + BATCH):
        body = f"From: new{number}@y.example\r\nTo: help@localhost\r\nSubject: it is broken\r\nMessage-ID: <new{number}@y.example>\r\n\r\nPlease help.\r\n".encode()
        envelope = Envelope(id=store.new_id(), channel=Channel.SMTP, source="smtp", received_at=clock.now(), size_bytes=len(body))
        store.write_many(inbox.add_many, inbox.Arrived(envelope=envelope, body=body)).result()
        request = ParseRequest(format=envelope.format, source="smtp", received_at=envelope.received_at, return_path=None, body=body)
        answer = msgspec.msgpack.decode(parse_one(msgspec.msgpack.encode(request)), type=ParseResult)
        parts += [Part(envelope=envelope, seq=seq, signal=signal) for seq, signal in enumerate(answer.parts)]
    return parts
