"""A desk of many tickets, made by the database itself, and new mails handled on it."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.processor import used_seconds
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
# Each table with what a mail left in it, by its number n: closed but for two of a hundred, two notices sent, two entries of history.
SEED: Mapping[str, tuple[str, str]] = {
    "inbox": (
        "desk_id, id, state, channel, source, format, received_at, forward_paths, peer, size_bytes, message_id_sha256, part_count, outcomes, done_at",
        "1, n, 'done', 'smtp', 'smtp', 'rfc822', n, '[]', '', 400, sha256(('m' || n)::bytea), 1, 'C', n",
    ),
    "ticket": (
        (
            "desk_id, id, number, type, state, subject, impact, urgency, priority, requester, requester_name, team, assignee, service, tags, source, "
            "group_key, severity, event_count, reopen_count, pending_reason, resolution_code, opened_at, updated_at, version"
        ),
        (
            "1, n, n, 'incident', CASE WHEN n % 50 = 0 THEN 'new' ELSE 'closed' END, 'subject ' || n, 3, 3, 5, 'p' || n % 10000 || '@x.example', "
            "'Person', 'desk', '', '', '[]', 'smtp', '', '', 0, 0, '', '', n, n, 1"
        ),
    ),
    "entry": (
        "desk_id, id, ticket_id, direction, visibility, author, author_name, verified, kind, subject, text, reply_text, note, created_at",
        "1, n, n, 'inbound', 'public', 'p' || n % 10000 || '@x.example', 'Person', true, 'human', 'subject', repeat('words ', 20), 'words', '', n",
    ),
    "mail_seen": (
        "desk_id, key_sha256, inbox_id, content_sha256, participants_sha256, ticket_id, author, received_at",
        "1, sha256(('m' || n)::bytea), n, sha256(('c' || n)::bytea), sha256('p'::bytea), n, 'p' || n % 10000 || '@x.example', n",
    ),
    "part": (
        "desk_id, inbox_id, seq, kind, outcome, ticket_id, decided_at, reasons",
        '1, n, 0, \'user_message\', \'created\', n, n, \'{"code":"opened","sentence":"A new ticket."}\'',
    ),
    "outbox": (
        (
            "desk_id, id, ticket_id, ticket_number, event, state, recipient, recipient_name, message_id, message_id_sha256, reference_ids, facts, "
            "created_at, due_at, sent_at"
        ),
        (
            "1, 2 * n + half, n, n, 'acknowledged', 'sent', 'p' || n % 10000 || '@x.example', '', 's' || n || half, sha256(('s' || n || half)::bytea), "
            "'[]', '{}', n, n, n"
        ),
    ),
    "history": (
        "desk_id, stream, seq, at, kind, actor, ids, commitment, hash",
        "1, 'ticket:' || n, half + 1, n, 'open', 'p' || n % 10000, '[]', sha256('c'::bytea), sha256('h'::bytea)",
    ),
    "history_content": ("desk_id, stream, seq, salt, content", "1, 'ticket:' || n, half + 1, '0123456789abcdef', '{}'"),
    "history_head": ("desk_id, stream, seq, hash", "1, 'ticket:' || n, 2, sha256('h'::bytea)"),
    "search_words": (
        "desk_id, id, ticket_id, words",
        "1, n, n, array_to_tsvector(ARRAY['it', 'is', 'broken', 'w' || n % 50000, 'v' || n % 997])",
    ),
}
TWICE = ("outbox", "history", "history_content")
COUNTER = "INSERT INTO counter VALUES (1, 'ticket', %s) ON CONFLICT (desk_id, name) DO UPDATE SET next = excluded.next"


def fill(server: PostgresServer, tickets: int) -> None:
    """So many tickets with all that stands beside them; indexes that no key needs are made afterwards, in one go each."""
    import psycopg  # noqa: PLC0415 -- an extra

    with psycopg.connect(server.url(DATABASE), autocommit=True) as connection:
        connection.execute("SET session_replication_role = 'replica'; SET synchronous_commit = 'off'; SET maintenance_work_mem = '512MB'")
        unneeded = (
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = ANY(%s::regclass[]) "
            "AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)"
        )
        indexes = connection.execute(unneeded, [[*SEED]]).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}".encode())
        for table, (columns, values) in SEED.items():
            halves = "generate_series(0, 1) AS half" if table in TWICE else "(SELECT 1) AS once"
            connection.execute(
                f"INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series(1, {tickets}) AS n, {halves}".encode()
            )
        for _, made_by in indexes:
            connection.execute(made_by.encode())
        connection.execute(COUNTER, [tickets + 1001])
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


@contextmanager
def seeded(server: PostgresServer, tickets: int) -> Iterator[Store]:
    """A store with so many tickets, two of a hundred open, each with its mail and its words."""
    settings = PostgresSettings(url=server.make_database(DATABASE), writers=1)
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        Store(StoreSettings(path=folder, postgres=settings), clock=clock.now).close()
        fill(server, tickets)
        store = Store(StoreSettings(path=str(Path(folder)), postgres=settings), clock=clock.now)
        try:
            yield store
        finally:
            store.close()


def handle_seconds(server: PostgresServer, store: Store, count: int) -> Mapping[str, float]:
    """Seconds of so many new mails through `handle` and its commits, in batches, after two batches that warm up.

    `wall` by the clock, `ours` and `database` of the processor.
    """
    keys = store.write(signing_keys).result()
    ruleset, errors = compile_ruleset(RulesSettings())
    assert not errors
    desk = Desk(name="Bench", address="help@localhost", domain="localhost", teams=(Team(key="desk", name="Desk"),))
    casework = Casework(ruleset=ruleset, desk=desk, keys=keys)
    batches = [_parts(store, at) for at in range(0, count + 2 * BATCH, BATCH)]
    for batch in batches[:2]:
        store.write(lambda tx, batch=batch: handle(tx, batch, casework)).result()  # type: ignore[misc]  # mypy sees no default here
    assert server.process is not None
    before = (time.perf_counter(), time.process_time(), used_seconds(server.process.pid))
    for batch in batches[2:]:
        store.write(lambda tx, batch=batch: handle(tx, batch, casework)).result()  # type: ignore[misc]  # the same
    after = (time.perf_counter(), time.process_time(), used_seconds(server.process.pid))
    return dict(zip(("wall", "ours", "database"), (late - early for late, early in zip(after, before, strict=True)), strict=True))


def _parts(store: Store, first: int) -> list[Part]:
    parts, arrived = [], []
    for number in range(first, first + BATCH):
        body = f"From: new{number}@y.example\r\nTo: help@localhost\r\nSubject: it is broken\r\nMessage-ID: <new{number}@y.example>\r\n\r\nPlease help.\r\n".encode()
        envelope = Envelope(id=store.new_id(), channel=Channel.SMTP, source="smtp", received_at=clock.now(), size_bytes=len(body))
        arrived.append(inbox.Arrived(envelope=envelope, body=body))
        request = ParseRequest(format=envelope.format, source="smtp", received_at=envelope.received_at, return_path=None, body=body)
        answer = msgspec.msgpack.decode(parse_one(msgspec.msgpack.encode(request)), type=ParseResult)
        parts += [Part(envelope=envelope, seq=seq, signal=signal) for seq, signal in enumerate(answer.parts)]
    store.write(lambda tx: inbox.add_many(tx, arrived)).result()
    return parts
