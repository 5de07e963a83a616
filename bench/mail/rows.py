"""The mails of the corpora from bytes to message, beside the bare parser of the standard library, and what each step takes."""

import json
import os
import time
from collections.abc import Callable
from email import message_from_bytes
from email.policy import compat32
from functools import cache, partial
from pathlib import Path

from bench.figure import Figure, Unavailable
from bench.row import Row
from intake.mail.body import content_of
from intake.mail.parse import parse_mail
from intake.mail.reply import new_words
from intake.mail.walk import walk

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


def read(raw: bytes) -> None:
    """The walk and the texts and files of a mail, without header fields, kind, bounces and new words."""
    content_of(walk(raw).leaves)


def mails_a_second(step: Callable[[bytes], object]) -> float:
    """One pass over all mails after one that is not counted."""
    mails = corpus()
    for raw in mails:
        step(raw)
    began = time.perf_counter()
    for raw in mails:
        step(raw)
    return len(mails) / (time.perf_counter() - began)


def share(step: Callable[[bytes], object]) -> float:
    """How much of the whole way one step takes, in per cent; both measured here, one after the other."""
    return 100 * mails_a_second(parse_mail) / mails_a_second(step)


def share_of_new_words() -> float:
    """The same for the splitter, on texts that are read already."""
    texts = [content_of(walk(raw).leaves).text for raw in corpus()]
    began = time.perf_counter()
    for text in texts:
        new_words(text)
    took = time.perf_counter() - began
    return 100 * took * mails_a_second(parse_mail) / len(texts)


BARE = Figure(name="mails of the corpora by bare compat32", unit="/s", measure=partial(mails_a_second, bare))
WHOLE = Figure(name="mails of the corpora to messages", unit="/s", measure=partial(mails_a_second, parse_mail))
ROWS = (
    Row(figure=WHOLE, against=BARE),
    Row(figure=Figure(name="share of taking apart", unit="%", measure=partial(share, walk))),
    Row(figure=Figure(name="share of taking apart and decoding", unit="%", measure=partial(share, read))),
    Row(figure=Figure(name="share of new words", unit="%", measure=share_of_new_words)),
)
