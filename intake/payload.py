"""JSON from outside, read under limits and never with an exception the caller does not expect (A45)."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from itsm.signal import Malformed, Severity

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_ITEMS = 10_000
MAX_DEPTH = 64
MAX_TITLE_CHARACTERS, MAX_TEXT_CHARACTERS, MAX_LABELS, MAX_KEY_CHARACTERS = 250, 32_768, 100, 1_000

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)  # what its decoder raises; the second is its word for octets that are not UTF-8

SEVERITIES: dict[str, Severity] = {
    "critical": Severity.CRITICAL, "crit": Severity.CRITICAL, "page": Severity.CRITICAL, "fatal": Severity.CRITICAL,
    "emergency": Severity.CRITICAL, "disaster": Severity.CRITICAL, "p1": Severity.CRITICAL,
    "error": Severity.ERROR, "err": Severity.ERROR, "high": Severity.ERROR, "major": Severity.ERROR, "p2": Severity.ERROR,
    "warning": Severity.WARNING, "warn": Severity.WARNING, "minor": Severity.WARNING, "medium": Severity.WARNING, "p3": Severity.WARNING,
    "info": Severity.INFO, "informational": Severity.INFO, "information": Severity.INFO, "notice": Severity.INFO, "low": Severity.INFO,
    "none": Severity.INFO, "p4": Severity.INFO, "p5": Severity.INFO,
}  # fmt: skip


def too_deep(raw: bytes) -> bool:
    """Whether brackets nest deeper than we read; counts brackets in strings too, which only makes it stricter by a few."""
    brackets = raw.translate(None, delete=_NOT_BRACKETS)
    left = brackets
    for _ in range(MAX_DEPTH // 2):  # pairs from the inside outwards, at most two levels a round: the quick way for sound JSON
        left = left.replace(b"{}", b"").replace(b"[]", b"")
        if not left:
            return False
    depth = deepest = 0
    for octet in brackets:
        depth += 1 if octet in b"[{" else -1
        deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            return True
    return False


_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def refused(raw: bytes) -> Malformed | None:
    """Why a body is not even read, or None."""
    if len(raw) > MAX_BODY_BYTES:
        return Malformed(reason=f"the body has {len(raw)} bytes, more than {MAX_BODY_BYTES}")
    if too_deep(raw):
        return Malformed(reason=f"the JSON nests deeper than {MAX_DEPTH}")
    return None


def not_json(error: Exception) -> Malformed:
    """What a body that cannot be decoded becomes."""
    return Malformed(reason="the body is not what this format promises", detail=str(error)[:500])


def severity_of(word: str | None, table: dict[str, str] | None = None) -> tuple[Severity, tuple[str, ...]]:
    """Our severity for the sender's word, and the flag `unmapped_severity` when the word is not in the table."""
    if word is None or not word.strip():
        return Severity.UNKNOWN, ()
    key = word.strip().casefold()
    if table:
        named = {name.casefold(): value.casefold() for name, value in table.items()}
        key = named.get(key, key)
    found = SEVERITIES.get(key)
    return (found, ()) if found else (Severity.UNKNOWN, ("unmapped_severity",))


def clean(text: str, limit: int) -> str:
    """Text for the store: no NUL, no surrogates, at most `limit` characters."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\x00", "")[:limit]


def clean_labels(labels: dict[str, Any]) -> dict[str, str]:
    """Labels as short texts, at most 100."""
    return {clean(str(name), 200): clean(_text(value), 2_000) for name, value in list(labels.items())[:MAX_LABELS]}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "true" if value is True else "false" if value is False else "" if value is None else str(value)


def key_of_labels(labels: Iterable[tuple[str, str]]) -> str:
    """A key no two label sets share: each name and value with its length, sorted, hashed."""
    digest = hashlib.sha256()
    for name, value in sorted(labels):
        for text in (name, value):
            octets = text.encode("utf-8", "surrogatepass")
            digest.update(len(octets).to_bytes(4) + octets)
    return digest.hexdigest()[:32]


def instant(value: Any) -> datetime | None:
    """An aware UTC instant from ISO 8601 with a zone, or Unix seconds or milliseconds; None for anything else or year 1."""
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, bool) or value is None:
        return None
    elif isinstance(value, (int, float)):
        seconds = value / 1000 if abs(value) > 100_000_000_000 else value
        if not 0 < seconds < 253_000_000_000:
            return None
        found = datetime.fromtimestamp(seconds, UTC)
    else:
        try:
            found = datetime.fromisoformat(str(value).strip()[:40])
        except ValueError:
            return None
    if found.tzinfo is None or found.year < 1971 or found.year > 9000:
        return None
    return found.astimezone(UTC)
