"""A45: JSON and TOML made to hang, to swell or to mean two things, at the doors and in the configuration."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from intake import payload
from intake.context import ParseContext
from intake.parse import parse
from itsm.signal import Malformed, MonitoringEvent
from triaged import loading
from triaged.findings import ConfigurationInvalid

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
CONTEXT = ParseContext(source="s", received_at=datetime(2026, 3, 2, tzinfo=UTC))
FORMATS = ("alertmanager", "alertmanager_v2", "generic")
BOMBS = {
    "lists": b"[" * 200_000,
    "closed lists": b"[" * 100_000 + b"]" * 100_000,
    "objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "labels": b'{"title":"x","labels":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
    "nan": b'{"title":"x","observed_at":NaN}',
    "infinity": b'{"title":"x","observed_at":1e999999}',
    "minus": b'{"title":"x","observed_at":-Infinity}',
    "huge number": b'{"title":"x","observed_at":' + b"9" * 100_000 + b"}",
    "surrogate": b'{"title":"\\ud800"}',
    "half": b'{"title":"x"',
    "bom": b'\xef\xbb\xbf{"title":"x"}',
    "utf-16": '{"title":"x"}'.encode("utf-16"),
    "nothing": b"",
    "NUL": b"\x00" * 1_000,
}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", BOMBS)
def test_no_payload_trips_a_parser(name: str, format_: str) -> None:
    for part in parse(format_, BOMBS[name], CONTEXT):
        assert isinstance(part, Malformed | MonitoringEvent)


@WITH_AND_WITHOUT
def test_what_nests_too_deep_is_not_even_read(monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    if not defended:
        monkeypatch.setattr(payload, "MAX_DEPTH", 10**9)
    deep = b'{"title":"x","labels":' + b'{"a":' * 100 + b"1" + b"}" * 101
    (part,) = parse("generic", deep, CONTEXT)
    assert isinstance(part, Malformed) is defended


@WITH_AND_WITHOUT
def test_items_and_bytes_are_bounded(monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    if not defended:
        monkeypatch.setattr(payload, "MAX_BODY_BYTES", 10**12)
    (part,) = parse("generic", b'{"title":"' + b"x" * payload_limit() + b'"}', CONTEXT)
    assert isinstance(part, Malformed) is defended


def payload_limit() -> int:
    return 16 * 1024 * 1024


def test_of_a_name_that_stands_twice_the_last_counts_everywhere() -> None:
    (part,) = parse("generic", b'{"title":"first","status":"firing","title":"last"}', CONTEXT)
    assert isinstance(part, MonitoringEvent)
    assert part.title == "last"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def file(text: str) -> str:
        (tmp_path / "triaged.toml").write_text(text)
        return str(tmp_path / "triaged.toml")

    return file


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "[" * 3_000 + "]" * 3_000,
        "a = " + "{a = " * 3_000 + "1" + "}" * 3_000,
        "[" + ".".join(["a"] * 3_000) + "]",
        '[desk]\nname = "a"\nname = "b"',
        "[desk]\n[desk]",
        "[process]\ndrain_seconds = nan",
        "[process]\ndrain_seconds = inf",
        "[process]\ndrain_seconds = " + "9" * 5_000,
        "[process]\ndrain_seconds = 1e400",
    ],
    ids=["open lists", "lists", "tables", "dotted", "twice", "table twice", "nan", "inf", "digits", "overflow"],
)
def test_a_configuration_made_to_hang_or_to_mean_two_things_is_refused_in_words(write: Callable[[str], str], text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        loading.load(write(text), {})


@WITH_AND_WITHOUT
def test_a_configuration_as_large_as_a_disk_is_not_read(
    write: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    monkeypatch.setattr(loading, "MAX_FILE_BYTES", 10_000 if defended else 10**9)
    file = write("# comment\n" * 2_000)
    if defended:
        with pytest.raises(ConfigurationInvalid, match="larger than"):
            loading.load(file, {})
    else:
        assert loading.load(file, {})
