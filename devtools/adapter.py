"""`dev new adapter NAME`: the skeleton of an adapter, its fixture folder and its page."""

import re
import sys
from pathlib import Path

NAME = re.compile(r"[a-z][a-z0-9_]{1,40}\Z")


def run(root: Path, rest: list[str]) -> int:
    """Write the files; never over one that exists."""
    if len(rest) != 2 or rest[0] != "adapter" or not NAME.match(rest[1]):
        print("dev new adapter NAME: lower-case letters, digits and _", file=sys.stderr)
        return 2
    name = rest[1]
    files = {
        root / "intake" / "adapters" / f"{name}.py": MODULE,
        root / "tests" / "intake" / "adapters" / f"test_{name}_adapter.py": TEST,
        root / "docs" / "reference" / "adapters" / f"{name}.md": PAGE,
    }
    there = [path for path in files if path.exists()]
    if there:
        print(f"dev new adapter: {there[0].relative_to(root)} exists already", file=sys.stderr)
        return 2
    (root / "tests" / "fixtures" / "alerts" / name).mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("NAME", name))
        print(path.relative_to(root))
    print(f"Next: a real payload in tests/fixtures/alerts/{name}/, the mapping table, then its line in intake/parse.py, intake/context.py")
    print("(ALERT_FORMATS) and docs/README.md.")
    return 0


MODULE = '''"""NAME: say the payload's version and the vendor's page here."""

import msgspec

from intake.context import ParseContext
from intake.payload import clean, instant, not_json, refused, severity_of
from itsm.signal import EventStatus, Malformed, MonitoringEvent

RETRY_STATUS = 503  # which code this sender retries, and where that is documented
STATUS: dict[str, EventStatus] = {}


class Body(msgspec.Struct, frozen=True):
    """The body, as far as we read it."""

    title: str
    status: str
    key: str
    severity: str = ""
    started_at: str = ""


_decoder = msgspec.json.Decoder(Body)


def parse(raw: bytes, context: ParseContext) -> tuple[MonitoringEvent | Malformed, ...]:
    """One event a body."""
    problem = refused(raw)
    if problem:
        return (problem,)
    try:
        body = _decoder.decode(raw)
    except msgspec.MsgspecError as error:
        return (not_json(error),)
    severity, flags = severity_of(body.severity)
    status = STATUS.get(body.status)
    return (
        MonitoringEvent(
            source=context.source,
            series_key=clean(body.key, 1_000),
            status=status or EventStatus.FIRING,
            status_raw=clean(body.status, 100),
            severity=severity,
            severity_raw=body.severity or None,
            title=clean(body.title, 250),
            started_at=instant(body.started_at),
            flags=flags if status else (*flags, "unmapped_status"),
        ),
    )
'''
TEST = '''"""The NAME adapter on payloads of the real sender."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from intake.adapters.NAME import parse
from intake.context import ParseContext
from itsm.signal import MonitoringEvent

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "alerts" / "NAME").glob("*.json"))


@pytest.mark.parametrize("payload", FIXTURES, ids=lambda path: path.stem)
def test_a_real_payload_gives_events(payload):
    found = parse(payload.read_bytes(), ParseContext(source="NAME", received_at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert found
    assert all(isinstance(each, MonitoringEvent) for each in found)
'''
PAGE = """# NAME

What the sender posts, in which version, and how to point it at triaged.

It is told 202 after the bytes are stored, and 503 while they cannot be: say whether it sends again.

| its field | ours |
|---|---|
"""
