"""Logs: one event a line, nothing of a stranger breaks a line, no secret stands in one, and a slow reader stops nobody."""

import io
import json
import logging
import warnings
from collections.abc import Callable

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from triaged import logs
from triaged.logs import DROPPED, Logging, clean, set_level


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(work: Callable[[], object], *, level: str = "info", style: str = "auto", stream: io.StringIO | None = None) -> list[str]:
    sink = stream or io.StringIO()
    started = Logging(level=level, style=style, stream=sink)
    try:
        work()
    finally:
        started.stop()
        logging.getLogger().setLevel(logging.WARNING)
    return sink.getvalue().splitlines()


def test_a_pipe_gets_json_and_a_terminal_gets_keys_and_values() -> None:
    def work() -> None:
        structlog.get_logger("door").info("mail accepted", inbox_id=7, ok=True, nothing=None, ids=[1, 2], text='a "b" c')

    [line] = written(work)
    event = json.loads(line)
    assert {name: event[name] for name in ("level", "logger", "event", "inbox_id", "ids")} == {
        "level": "info",
        "logger": "door",
        "event": "mail accepted",
        "inbox_id": 7,
        "ids": [1, 2],
    }
    [line] = written(work, stream=Terminal())
    assert line.split(" ", 1)[1] == 'level=info logger=door event="mail accepted" inbox_id=7 ok=true nothing= ids=1,2 text="a \\"b\\" c"'


def test_loggers_of_the_standard_library_take_the_same_way() -> None:
    def work() -> None:
        logging.getLogger("somebody").warning("careful %s", "now")
        logging.getLogger("uvicorn.error").info("noise")
        logging.getLogger("mail.log").info("noise")

    [line] = written(work, style="json")
    assert json.loads(line)["event"] == "careful now"
    assert json.loads(line)["level"] == "warning"


def test_a_warning_of_python_is_a_line() -> None:
    def work() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old thing", DeprecationWarning, stacklevel=1)

    [line] = written(work)
    assert "old thing" in json.loads(line)["event"]


def test_the_level_is_kept_and_can_be_changed() -> None:
    def work() -> None:
        log = structlog.get_logger("x")
        log.info("not seen")
        set_level("info")
        log.info("seen")
        log.debug("not seen")

    assert [json.loads(line)["event"] for line in written(work, level="warning")] == ["seen"]


def test_a_traceback_stays_on_its_line() -> None:
    def work() -> None:
        try:
            raise ValueError("two\nlines")
        except ValueError:
            structlog.get_logger("x").error("failed", exc_info=True)

    [line] = written(work, style="logfmt")
    assert "ValueError: two\\nlines" in line


anything = st.text(st.characters(exclude_categories=()))


@given(anything, anything)
def test_no_text_of_a_stranger_breaks_a_line_or_reaches_a_terminal_as_control(name: str, text: str) -> None:
    for style in ("json", "logfmt"):
        lines = written(lambda: structlog.get_logger("x").info("event", **{f"a{name}": text}), style=style)
        assert len(lines) == 1
        assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in lines[0])


@pytest.mark.parametrize("name", ["password", "api_token", "Authorization", "client_secret", "cookie"])
def test_what_is_named_like_a_secret_is_never_written(name: str) -> None:
    [line] = written(lambda: structlog.get_logger("x").info("event", **{name: "canary"}))
    assert "canary" not in line
    assert "[redacted]" in line


def test_what_libraries_log_is_a_line_like_ours() -> None:
    def library() -> None:
        logging.getLogger("some.library").warning("a word of %s", "mine\n", extra={"more": 1})

    [line] = written(library, style="json")
    found = json.loads(line)
    assert (found["level"], found["logger"], found["event"]) == ("warning", "some.library", "a word of mine\\n")


def test_a_long_value_is_cut() -> None:
    assert clean("x" * 5_000) == "x" * 2_000 + "… (5000 characters)"
    assert clean(b"\x1b") == "b'\\x1b'"
    assert clean("\x1b[31m\u202e") == "\\x1b[31m\\u202e"


def test_lines_that_do_not_fit_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_QUEUED_LINES", 1)
    lines = logs._Lines()
    before = DROPPED._value.get()
    for _ in range(3):
        lines.put("x")
    assert DROPPED._value.get() == before + 2
