"""One child process: pure functions on bytes, asked by frames on stdin and answered by frames on stdout.

It keeps no state, so it can be killed at any time. It ends when its stdin closes, and by its own alarm when a batch outlives its
deadline, so that it never survives the process that started it.
"""

import importlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from triaged.garbage import look_seldom

FUNCTIONS = {"parse": "intake.child:parse_one", "render": "notifier.child:render_one", "files": "intake.child:files_of"}
MAX_MEMORY_BYTES = 4 * 1024**3  # address space, not resident memory: an input may not take the machine with it
MAX_FRAME_BYTES = 512 * 1024 * 1024
LENGTH_OCTETS = 4
GRACE_SECONDS = 5.0

Pure = Callable[[bytes], bytes]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A batch: which function, on what, and after how many seconds nobody waits for the answer any more."""

    function: str
    items: tuple[bytes, ...]
    deadline_seconds: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One result an item, None where the function raised; `errors` names the kinds of exception, never their words."""

    results: tuple[bytes | None, ...] = ()
    errors: tuple[str, ...] = ()


def frame(body: bytes) -> bytes:
    """A frame: its length in four octets, then its octets."""
    return len(body).to_bytes(LENGTH_OCTETS) + body


def answer(request: Request, functions: dict[str, Pure]) -> Answer:
    """Do a batch, item by item; an item that raises spoils no other."""
    results: list[bytes | None] = []
    errors: list[str] = []
    function = functions[request.function]
    for item in request.items:
        try:
            results.append(function(item))
        except Exception as error:  # the boundary of one item: the worker sets it aside
            results.append(None)
            errors.append(_kind(error))
    return Answer(results=tuple(results), errors=tuple(errors))


def _kind(error: Exception) -> str:
    """The type of an error and the line that raised it; its words may hold what somebody wrote in a mail."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    place = f" at {Path(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno}" if traceback else ""
    return type(error).__name__ + place


def load(functions: dict[str, str]) -> dict[str, Pure]:
    """The functions of the allow-list, imported before the first batch so that no deadline pays for it."""
    found: dict[str, Pure] = {}
    for name, place in functions.items():
        module, _, attribute = place.partition(":")
        found[name] = getattr(importlib.import_module(module), attribute)
    return found


def serve(source: BinaryIO, sink: BinaryIO, functions: dict[str, Pure]) -> None:
    """Say that we are ready (an empty frame), then answer until the source ends."""
    decode, encode = msgspec.msgpack.Decoder(Request).decode, msgspec.msgpack.Encoder().encode
    sink.write(frame(b""))
    sink.flush()
    while True:
        head = source.read(LENGTH_OCTETS)
        if len(head) < LENGTH_OCTETS:
            return
        size_bytes = int.from_bytes(head)
        body = source.read(size_bytes)
        if len(body) < size_bytes:
            return
        request = decode(body)
        signal.setitimer(signal.ITIMER_REAL, request.deadline_seconds + GRACE_SECONDS)
        done = encode(answer(request, functions))
        signal.setitimer(signal.ITIMER_REAL, 0)
        sink.write(frame(done))
        sink.flush()


def main() -> None:
    """Serve on stdin and stdout; what a function prints goes nowhere near the frames."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # the parent decides when we end, by closing our stdin
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(0), "rb") as source, os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        functions = load(dict(each.split("=", 1) for each in sys.argv[1:]) or FUNCTIONS)
        look_seldom()
        serve(source, sink, functions)


if __name__ == "__main__":
    main()
