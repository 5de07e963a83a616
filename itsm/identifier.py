"""Identifiers: 41 bits of milliseconds since 2025-01-01, 10 bits node, 12 bits counter (design 5). Pure arithmetic."""

from datetime import UTC, datetime

EPOCH_MILLISECONDS = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1000)
NODE_BITS, COUNTER_BITS = 10, 12
MAX_NODE = 2**NODE_BITS - 1
MAX_COUNTER = 2**COUNTER_BITS - 1
MAX_IDENTIFIER = 2**63 - 1


def compose(unix_milliseconds: int, node: int, counter: int) -> int:
    """The identifier of these three parts; raises ValueError when one does not fit its bits."""
    milliseconds = unix_milliseconds - EPOCH_MILLISECONDS
    if not 0 <= milliseconds < 2**41 or not 0 <= node <= MAX_NODE or not 0 <= counter <= MAX_COUNTER:
        raise ValueError(f"identifier out of range: {unix_milliseconds} ms, node {node}, counter {counter}")
    return (milliseconds << (NODE_BITS + COUNTER_BITS)) | (node << COUNTER_BITS) | counter


def milliseconds_of(identifier: int) -> int:
    """Unix milliseconds an identifier was issued at."""
    return (identifier >> (NODE_BITS + COUNTER_BITS)) + EPOCH_MILLISECONDS


def inbox_text(identifier: int) -> str:
    """An inbox identifier as people see it: `in-` and the number."""
    return f"in-{identifier}"


def parse_inbox(text: str) -> int | None:
    """The identifier in `in-123`, or None when the text is not one."""
    head, dash, tail = text.strip().partition("-")
    if head.lower() != "in" or not dash or not (tail.isascii() and tail.isdigit()) or len(tail) > 19:
        return None
    number = int(tail)
    return number if number <= MAX_IDENTIFIER else None
