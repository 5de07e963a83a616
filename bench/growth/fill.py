"""Fills the tables as so many mails would have, straight into the file: what is measured then is not how it came there."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from itsm.identifier import compose
from store.history import GENESIS, commitment_of, link_hash
from store.schema import DESK_ID
from store.threads import key_of

FIRST_MILLISECOND = 1_735_689_600_000  # 2025-01-01, where identifiers begin
SECONDS_BETWEEN = 30
ROWS_AT_ONCE = 20_000
FAST = ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -500000")  # a fill that fails is thrown away
TEXT = "It does not work since this morning, please help. " * 8
Row = tuple[Any, ...]


def fill(database: Path, count: int) -> None:
    """So many closed tickets of as many people, each with its mail, history, reasons and two sent notices; and as many series."""
    connection = sqlite3.connect(database)
    for pragma in FAST:
        connection.execute(f"PRAGMA {pragma}")
    for at in range(0, count, ROWS_AT_ONCE):
        numbers = range(at, min(count, at + ROWS_AT_ONCE))
        with connection:
            for table, columns, rows in TABLES:
                marks = ", ".join("?" * (columns.count(",") + 1))
                connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", _every(rows, numbers))
    with connection:
        connection.execute(
            "INSERT INTO counter (desk_id, name, next) VALUES (?, 'ticket', ?) ON CONFLICT (desk_id, name) DO UPDATE SET next = excluded.next",
            (DESK_ID, 1001 + count),
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def _every(rows: Callable[[int], Sequence[Row]], numbers: range) -> Iterator[Row]:
    return (row for number in numbers for row in rows(number))


def _id(number: int, counter: int) -> int:
    return compose(FIRST_MILLISECOND + number * SECONDS_BETWEEN * 1000, 1, counter)


def _at(number: int) -> int:
    return (FIRST_MILLISECOND + number * SECONDS_BETWEEN * 1000) * 1000


def _sender(number: int) -> str:
    return f"person{number % 50_000}@example.org"


def _inbox(number: int) -> list[Row]:
    key = key_of(f"old.{number}@example.org")
    return [(DESK_ID, _id(number, 0), "done", "smtp", "smtp", "rfc822", _at(number), "[]", "", len(TEXT), key, 1, "C", _at(number))]


def _raw(number: int) -> list[Row]:
    return [(DESK_ID, _id(number, 0), 0, TEXT.encode())]


def _ticket(number: int) -> list[Row]:
    at = _at(number)
    return [(DESK_ID, _id(number, 1), 1001 + number, "incident", "closed", "it is broken", 2, 3, 3, _sender(number), "", "desk", "", "", "[]",
             "smtp", "", "", 0, 0, "", "", at, at, 1)]  # fmt: skip


def _entry(number: int) -> list[Row]:
    return [(DESK_ID, _id(number, 2), _id(number, 1), "inbound", "public", _sender(number), "", 1, "human", "it is broken", TEXT, TEXT, "",
             _at(number))]  # fmt: skip


def _seen(number: int) -> list[Row]:
    key = key_of(f"old.{number}@example.org")
    return [(DESK_ID, key, _id(number, 0), key, key, _id(number, 1), _sender(number), _at(number))]


def _part(number: int) -> list[Row]:
    reasons = '{"code":"opened","sentence":"A new ticket."}'
    return [(DESK_ID, _id(number, 0), 0, "user_message", "created", _id(number, 1), _at(number), reasons)]


def _outbox(number: int) -> list[Row]:
    return [
        (DESK_ID, _id(number, place), _id(number, 1), 1001 + number, event, "sent", _sender(number), "", f"sent.{number}.{place}@localhost",
         key_of(f"sent.{number}.{place}@localhost"), "[]", "{}", _at(number), _at(number))
        for place, event in ((3, "acknowledged"), (4, "team_new"))
    ]  # fmt: skip


def _series(number: int) -> list[Row]:
    key = f"old{number}"
    state = msgspec.msgpack.encode([[], []])
    return [(DESK_ID, _id(number, 5), "alertmanager", key_of(key), key, "old", state, key_of(key), 1, _at(number), 0, 1)]


@lru_cache(maxsize=ROWS_AT_ONCE)  # three tables ask for each
def _linked(number: int) -> list[tuple[int, bytes, bytes, bytes]]:
    """Two entries of a ticket's stream: seq, commitment, hash, salt."""
    stream, previous = f"ticket:{_id(number, 1)}", GENESIS
    found: list[tuple[int, bytes, bytes, bytes]] = []
    for seq, kind in ((1, "open"), (2, "entry")):
        salt = key_of(f"{stream}.{seq}")[:16]
        commitment = commitment_of(salt, b"{}")
        previous = link_hash(previous, DESK_ID, stream, seq, _at(number), kind, _sender(number), "[]", commitment)
        found.append((seq, commitment, previous, salt))
    return found


def _history(number: int) -> list[Row]:
    stream = f"ticket:{_id(number, 1)}"
    return [
        (DESK_ID, stream, seq, _at(number), ("open", "entry")[seq - 1], _sender(number), "[]", commitment, digest)
        for seq, commitment, digest, _ in _linked(number)
    ]


def _content(number: int) -> list[Row]:
    return [(DESK_ID, f"ticket:{_id(number, 1)}", seq, salt, b"{}") for seq, _, _, salt in _linked(number)]


def _head(number: int) -> list[Row]:
    seq, _, digest, _ = _linked(number)[-1]
    return [(DESK_ID, f"ticket:{_id(number, 1)}", seq, digest)]


TABLES: tuple[tuple[str, str, Callable[[int], Sequence[Row]]], ...] = (
    ("inbox", ("desk_id, id, state, channel, source, format, received_at, forward_paths, peer, size_bytes, message_id_sha256, part_count, "
     "outcomes, done_at"), _inbox),
    ("raw", "desk_id, inbox_id, seq, chunk", _raw),
    ("ticket", ("desk_id, id, number, type, state, subject, impact, urgency, priority, requester, requester_name, team, assignee, service, tags, "
     "source, group_key, severity, event_count, reopen_count, pending_reason, resolution_code, opened_at, updated_at, version"), _ticket),
    ("entry", "desk_id, id, ticket_id, direction, visibility, author, author_name, verified, kind, subject, text, reply_text, note, created_at",
     _entry),
    ("mail_seen", "desk_id, key_sha256, inbox_id, content_sha256, participants_sha256, ticket_id, author, received_at", _seen),
    ("part", "desk_id, inbox_id, seq, kind, outcome, ticket_id, decided_at, reasons", _part),
    ("outbox", ("desk_id, id, ticket_id, ticket_number, event, state, recipient, recipient_name, message_id, message_id_sha256, reference_ids, "
     "facts, created_at, due_at"), _outbox),
    ("series", "desk_id, id, source, key_sha256, series_key, title, state, content_sha256, event_count, last_seen_at, open, version", _series),
    ("history", "desk_id, stream, seq, at, kind, actor, ids, commitment, hash", _history),
    ("history_content", "desk_id, stream, seq, salt, content", _content),
    ("history_head", "desk_id, stream, seq, hash", _head),
)  # fmt: skip
