"""One event a line on stderr: key=value where a person looks on, JSON else; never a control character, never a secret.

Lines are rendered where they are written and put on a bounded queue; a thread writes them out, so that a slow terminal or a full pipe
never holds up the loop. What does not fit is dropped and counted.
"""

import io
import logging
import os
import re
import select
import sys
import threading
from collections import deque
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any, TextIO

import msgspec
import structlog
from prometheus_client import Counter

from triaged import clock

DROPPED = Counter("triaged_log_lines_dropped_total", "Log lines dropped because the reader of stderr was too slow.")
MAX_QUEUED_LINES = 10_000
MAX_LINES_TOGETHER = 256  # in one system call
MAX_VALUE_CHARACTERS = 2_000
STOP_SECONDS = 2.0  # the last lines may take so long to be written; a reader who does not read holds up nobody's end
MAX_LAST_WORDS_BYTES = 512  # what a pipe that can be written to takes at once (PIPE_BUF)
STANDARD_ERROR = 2
QUIET = ("mail.log", "mail.debug", "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "alembic", "sqlalchemy")
SECRET_NAMES = re.compile(r"password|secret|authorization|cookie|token|api_key", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

Event = MutableMapping[str, Any]


class _Lines:
    """The bounded queue of rendered lines."""

    def __init__(self) -> None:
        self.waiting: deque[str] = deque()
        self.come = threading.Event()

    def put(self, line: str) -> None:
        """Without waiting: drop and count when the queue is full."""
        if len(self.waiting) >= MAX_QUEUED_LINES:
            DROPPED.inc()
            return
        self.waiting.append(line)
        if not self.come.is_set():  # else the thread was told already: the lines of a batch wake it once
            self.come.set()

    def take(self) -> list[str]:
        """What waits, at most 256 lines: they are written together."""
        return [self.waiting.popleft() for _ in range(min(len(self.waiting), MAX_LINES_TOGETHER))]


class _Named:
    """What a logger of ours ends in. Past the standard library's records, which cost more than the line: there is one a mail."""

    disabled = False

    def __init__(self, name: str, lines: _Lines) -> None:
        self.name = name
        self.getEffectiveLevel = logging.getLogger(name).getEffectiveLevel  # its levels are the standard library's
        self.debug = self.info = self.warning = self.error = self.critical = lines.put


class _Foreign(logging.Handler):
    """Takes what libraries log in the standard library's way."""

    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Render it here, in the thread that logs."""
        try:
            self._lines.put(self.format(record))
        except Exception:  # as every handler of the standard library: a line that cannot be rendered holds up nobody
            self.handleError(record)


class _Writer:
    """The thread that writes lines out. It writes past Python's buffer, whose lock a blocked write would hold until the very end."""

    def __init__(self, lines: _Lines, sink: TextIO) -> None:
        self._lines, self._sink = lines, sink
        try:
            self._descriptor: int | None = sink.fileno()
        except (OSError, io.UnsupportedOperation):
            self._descriptor = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write out what waits, for at most two seconds."""
        self._stopping.set()
        self._lines.come.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set() or self._lines.waiting:
            self._lines.come.wait()
            self._lines.come.clear()  # before the look: what comes after it tells us again
            while some := self._lines.take():
                self._write(some)

    def _write(self, lines: list[str]) -> None:
        text = "\n".join(lines) + "\n"
        try:
            if self._descriptor is None:
                self._sink.write(text)
                return
            left = text.encode("utf-8", "backslashreplace")
            while left:
                left = left[os.write(self._descriptor, left) :]
        except (OSError, ValueError):  # the reader has gone, or the disk is full: the work goes on
            DROPPED.inc(len(lines))


def last_words(text: str) -> None:
    """Tell stderr why the process ends now, unless that would have to wait for its reader."""
    if STANDARD_ERROR in select.select([], [STANDARD_ERROR], [], 0)[1]:
        os.write(STANDARD_ERROR, text.encode("utf-8", "backslashreplace")[:MAX_LAST_WORDS_BYTES])


class Logging:
    """Logging as it was set up; `stop` writes out what waits and undoes it."""

    def __init__(self, *, level: str = "info", style: str = "auto", stream: TextIO | None = None) -> None:
        """`style` is `logfmt`, `json`, or `auto`: logfmt on a terminal, JSON else."""
        sink = stream or sys.stderr
        as_json = style == "json" or (style == "auto" and not sink.isatty())
        lines = _Lines()
        self._handler = _Foreign(lines)
        shared: list[Any] = [_level, structlog.stdlib.add_logger_name, _instant]
        rendered: list[Any] = [_exception, _redact, _json if as_json else _logfmt]
        self._handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered], foreign_pre_chain=shared
            )
        )
        root = logging.getLogger()
        root.addHandler(self._handler)
        root.setLevel(level.upper())
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.captureWarnings(True)
        structlog.configure(
            processors=[structlog.stdlib.filter_by_level, *shared, *rendered],
            logger_factory=lambda name: _Named(name, lines),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=False,
        )
        self._writer = _Writer(lines, sink)

    def stop(self) -> None:
        """Write out what waits, then log nowhere."""
        self._writer.stop()
        logging.getLogger().removeHandler(self._handler)
        logging.captureWarnings(False)
        structlog.reset_defaults()


def set_level(level: str) -> None:
    """Log from this level on: debug, info, warning, error."""
    logging.getLogger().setLevel(level.upper())


def _level(logger: Any, method: str, event: Event) -> Event:
    record = event.get("_record")
    event["level"] = record.levelname.lower() if record is not None else method
    return event


def _instant(logger: Any, method: str, event: Event) -> Event:
    event["at"] = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _exception(logger: Any, method: str, event: Event) -> Event:
    """A traceback becomes one escaped value, so that it stays on its line."""
    return structlog.processors.format_exc_info(logger, method, event)


def _redact(logger: Any, method: str, event: Event) -> Event:
    """Hide what a secret's name stands for, escape control characters, cut what is too long."""
    named = ((_name(name), value) for name, value in event.items())
    return {shown: "[redacted]" if secret else clean(value) for (shown, secret), value in named}


@lru_cache(maxsize=1_000)
def _name(name: str) -> tuple[str, bool]:
    """The name as it is shown, and whether it is that of a secret; there are few names and many lines."""
    return escape(name), SECRET_NAMES.search(name) is not None


def clean(value: Any) -> Any:
    """A value that is safe on one line of a log or a terminal: no control or direction character, bounded."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [clean(each) for each in value[:50]]
    text = str(value)
    if len(text) <= MAX_VALUE_CHARACTERS and text.isascii() and text.isprintable():
        return text
    if len(text) > MAX_VALUE_CHARACTERS:
        text = text[:MAX_VALUE_CHARACTERS] + f"… ({len(text)} characters)"
    return escape(text)


def escape(text: str) -> str:
    """The text with every control and direction character written out."""
    return _CONTROL.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(found[0], f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _ordered(event: Event) -> list[tuple[str, Any]]:
    first = ("at", "level", "logger", "event")
    return [(name, event[name]) for name in first if name in event] + [(name, value) for name, value in event.items() if name not in first]


def _json(logger: Any, method: str, event: Event) -> str:
    return msgspec.json.encode(dict(_ordered(event)), enc_hook=str).decode()


def _logfmt(logger: Any, method: str, event: Event) -> str:
    return " ".join(f"{re.sub(r'[^A-Za-z0-9_.]', '_', name)}={_quoted(value)}" for name, value in _ordered(event))


def _quoted(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ",".join(str(each) for each in value) if isinstance(value, list) else str(value)
    if text and not re.search(r'[\s="]', text):
        return text
    return '"' + text.replace('"', '\\"') + '"'
