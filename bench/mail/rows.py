"""The mails of the corpora from bytes to message, beside the bare parser of the standard library, and what each step takes."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import compat32
from functools import cache, partial
from pathlib import Path

from bench.figure import Figure, Unavailable
from bench.row import Row
from intake.mail import parse

STEPS = {  # of `parse_mail`, by the functions it calls for them
    "taking apart": ("walk",),
    "texts and files": ("content_of",),
    "header fields": ("_sender", "_subject", "_people", "_references", "addresses", "identifiers", "message_identifier", "date_of"),
    "kind and answerability": ("signs_of", "kind_of", "unanswerable"),
    "failed recipients": ("failed_recipients", "feedback_of"),
    "new words": ("without_files", "new_words"),
    "words for search": ("words_of",),
    "forwards and protection": ("is_forward", "protection_of"),
}
REST = "the rest"  # the message itself, hashes, remarks
FOLDER = Path(os.environ.get("TRIAGED_CORPORA") or Path(__file__).parents[3] / "shared" / "corpora")


@cache
def corpus() -> tuple[bytes, ...]:
    """Every mail of the corpora, read once."""
    index = FOLDER / "cases.jsonl"
    if not index.is_file():
        raise Unavailable("no corpora (set TRIAGED_CORPORA)")
    cases = [json.loads(line) for line in index.read_text("utf-8").splitlines()]
    return tuple((FOLDER / case["path"]).read_bytes() for case in cases if case["kind"] == "mail")


def bare(raw: bytes) -> None:
    """What the standard library does at the least: parts, and their decoded octets."""
    for part in message_from_bytes(raw, policy=compat32).walk():
        part.get_payload(decode=True)


def mails_a_second(step: Callable[[bytes], object]) -> float:
    """One pass over all mails after one that is not counted."""
    mails = corpus()
    for raw in mails:
        step(raw)
    began = time.perf_counter()
    for raw in mails:
        step(raw)
    return len(mails) / (time.perf_counter() - began)


@contextmanager
def clocked(used: dict[str, float]) -> Iterator[None]:
    """Meanwhile each step of the parser adds the processor time that it takes to `used`; a step within a step belongs to the outer one."""
    inside = False

    def clocked_step(step: str, function: Callable[..., object]) -> Callable[..., object]:
        def measured(*args: object, **named: object) -> object:
            nonlocal inside
            if inside:
                return function(*args, **named)
            inside, began = True, time.thread_time()
            try:
                return function(*args, **named)
            finally:
                used[step] += time.thread_time() - began
                inside = False

        return measured

    plain = {name: getattr(parse, name) for names in STEPS.values() for name in names}
    for step, names in STEPS.items():
        for name in names:
            setattr(parse, name, clocked_step(step, plain[name]))
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(parse, name, function)


def shares() -> dict[str, float]:
    """How much of the way from bytes to message each step takes, in per cent; together a hundred."""
    mails = corpus()
    used = dict.fromkeys(STEPS, 0.0)
    with clocked(used):
        began = time.thread_time()
        for raw in mails:
            parse.parse_mail(raw)
        whole = time.thread_time() - began
    used[REST] = whole - sum(used.values())
    return {step: 100 * taken / whole for step, taken in used.items()}


BARE = Figure(name="mails of the corpora by bare compat32", unit="/s", measure=partial(mails_a_second, bare))
WHOLE = Figure(name="mails of the corpora to messages", unit="/s", measure=partial(mails_a_second, parse.parse_mail))
ROWS = (
    Row(figure=WHOLE, against=BARE),
    *(Row(figure=Figure(name=f"share of {step}", unit="%", measure=shares, part=step)) for step in (*STEPS, REST)),
)
