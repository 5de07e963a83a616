"""Reads stored bytes again, for a trace: in a child with the daemon's deadline, for what hung its parser would hang ours."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from intake.child import ParseRequest, ParseResult
from intake.context import GenericMapping
from intake.present import present
from itsm.envelope import Envelope
from itsm.identifier import inbox_text
from triaged.children import ChildPool

MAX_UNREADABLE = 3  # deadlines that one reading waits for, at most; what comes after them is not read
SHOWN = ("kind", "unanswerable", "from", "message_id", "in_reply_to", "references", "subject", "delivery_report", "defects", "error")
REMOVED = "its bytes were removed by retention"
FAILED = "the parser crashes on it or takes too long, and was ended"
LEFT_OUT = f"not read again: {MAX_UNREADABLE} before it brought the parser down"

Mappings = Mapping[str, GenericMapping]
RunBatch = Callable[[str, Sequence[bytes]], Awaitable[Sequence[bytes | None]]]


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope to read again; `request` is None where its bytes are gone."""

    inbox_id: str
    request: ParseRequest | None


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """What today's parser reads in the stored bytes: the kind and what threading goes by, never the words; `events` counts alerts."""

    inbox_id: str
    read: dict[str, object] | None
    events: int = 0
    note: str = ""


def unread(envelope: Envelope, body: bytes | None, mappings: Mappings) -> Unread:
    """What the parser was asked about this envelope."""
    request = None
    if body is not None:
        request = ParseRequest(
            format=envelope.format,
            source=envelope.source,
            received_at=envelope.received_at,
            return_path=envelope.reverse_path,
            body=body,
            mapping=mappings.get(envelope.source),
        )
    return Unread(inbox_id=inbox_text(envelope.id), request=request)


async def read_again(wanted: Sequence[Unread], run_batch: RunBatch) -> list[Parsed]:
    """Read each alone: what a parser said is not kept, what was decided from it is. Waits for at most MAX_UNREADABLE deadlines."""
    found: list[Parsed] = []
    failures = 0
    for each in wanted:
        if each.request is None or failures >= MAX_UNREADABLE:
            found.append(Parsed(inbox_id=each.inbox_id, read=None, note=REMOVED if each.request is None else LEFT_OUT))
            continue
        (answer,) = await run_batch("parse", [msgspec.msgpack.encode(each.request)])
        failures += answer is None
        found.append(_parsed(each.inbox_id, answer))
    return found


def _parsed(inbox_id: str, answer: bytes | None) -> Parsed:
    if answer is None:
        return Parsed(inbox_id=inbox_id, read=None, note=FAILED)
    told = present(msgspec.msgpack.decode(answer, type=ParseResult).parts)
    events = told.get("events")
    read = {name: told[name] for name in SHOWN if name in told}
    return Parsed(inbox_id=inbox_id, read=read, events=len(events) if isinstance(events, list) else 0)


def read_in_a_child(wanted: Sequence[Unread], *, deadline_seconds: float, functions: Mapping[str, str] | None = None) -> list[Parsed]:
    """The same from a program without a loop, in one child of its own; `functions` replaces the child's."""

    async def read() -> list[Parsed]:
        pool = ChildPool(1, deadline_seconds=deadline_seconds, functions=functions)
        try:
            return await read_again(wanted, pool.run_batch)
        finally:
            await pool.close()

    return asyncio.run(read())
