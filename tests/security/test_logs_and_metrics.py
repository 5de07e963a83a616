"""A59, A60, A62, F72: nothing of a stranger breaks a log line, no secret or word stands in one, and neither series nor memory grow."""

import gc
import io
import json
import logging
import tracemalloc
from collections.abc import Callable

import pytest
import structlog
from prometheus_client import REGISTRY

from casework.part import Handled, Part
from intake import outcomes
from itsm.envelope import Channel, Envelope, Outcome
from itsm.signal import Malformed
from tests.casework.desks import TestDesk
from tests.reliability.lives import Life
from tests.store.conftest import NOON
from triaged import logs
from triaged.logs import Logging

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
CANARY = "canary-5e1f"
SENDERS = 100_000
BYTES_A_MAIL = 400  # of memory that may stay for each mail: counters of tracemalloc's own snapshots are among them


@WITH_AND_WITHOUT
def test_a_text_with_a_line_break_forges_no_line_and_moves_no_terminal(monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    if not defended:
        monkeypatch.setattr(logs, "escape", lambda text: text)
    sink = io.StringIO()
    started = Logging(style="logfmt", stream=sink)
    try:
        structlog.get_logger("door").info("mail", peer='x"\nat=now level=critical event="forged"\x1b[2J')
    finally:
        started.stop()
        logging.getLogger().setLevel(logging.WARNING)
    assert (len(sink.getvalue().splitlines()) == 1) is defended
    assert ("\x1b" not in sink.getvalue()) is defended


@WITH_AND_WITHOUT
def test_no_secret_and_no_word_of_anybody_stands_in_logs_or_metrics(site: Life, defended: bool) -> None:
    (site.directory / "token").write_text(f"{CANARY}-token\n")
    site.file.write_text(site.file.read_text().replace('level = "info"', 'level = "debug"'))
    site.file.write_text(site.file.read_text() + '[[intake.source]]\nname = "guarded"\nauthentication = "token"\ntoken_file = "token"\n')
    site.begin(without="" if defended else "quiet_logs")
    site.mail(
        f"From: {CANARY}@example.com\nTo: desk@example.org\nSubject: {CANARY}\n\nMy password is {CANARY}.\n", sender=f"{CANARY}@example.com"
    )
    for secret in (f"{CANARY}-token", f"{CANARY}-wrong"):
        headers = {"Authorization": f"Bearer {secret}", "Cookie": CANARY}
        site.request("POST", f"/hooks/guarded?key={CANARY}", json.dumps({"title": CANARY, "labels": {CANARY: CANARY}}).encode(), headers)
        site.request("GET", f"/api/v1/tickets?requester={CANARY}", headers=headers)
        site.request("POST", f"/hooks/{CANARY}", b"{", headers)
    site.settle()
    said = site.log.read_text() + site.probe("/metrics")[1].decode() + site.probe("/readyz")[1].decode()
    assert (CANARY not in said) is defended


def series() -> int:
    return sum(len(family.samples) for family in REGISTRY.collect())


@WITH_AND_WITHOUT
def test_a_hundred_thousand_senders_leave_the_number_of_series_as_it_was(monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    count = SENDERS if defended else 2_000

    def one(number: int) -> Handled:
        envelope = Envelope(
            id=number, channel=Channel.SMTP, source="smtp", received_at=NOON, size_bytes=1, reverse_path=f"a{number}@x{number}.example",
            peer=f"192.0.{number // 256 % 256}.{number % 256}",
        )  # fmt: skip
        return Handled(part=Part(envelope=envelope, seq=0, signal=Malformed(reason=str(number))), outcome=Outcome.DUPLICATE)

    if not defended:
        tell = outcomes.count_handled

        def by_sender(done: list[Handled], now: object) -> None:
            for each in done:
                outcomes.MESSAGES.labels(each.part.envelope.reverse_path, "created").inc()
            tell(done, now)  # type: ignore[arg-type]  # passed through

        monkeypatch.setattr(outcomes, "count_handled", by_sender)
    outcomes.count_handled([one(0)], NOON)
    before = series()
    for number in range(1, count):
        outcomes.count_handled([one(number)], NOON)
    grown = series() - before
    if not defended:
        outcomes.MESSAGES.clear()
    assert (grown == 0) is defended


@WITH_AND_WITHOUT
def test_what_a_mail_took_of_memory_is_given_back(
    desk: TestDesk, mail: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    """The short form of `dev prove soak`."""
    kept: list[object] = []
    if not defended:
        tell = outcomes.count_handled

        def keeping(done: list[object], now: object) -> None:
            kept.extend(list(range(1_000, 1_200)) for _ in done)
            tell(done, now)  # type: ignore[arg-type]  # passed through

        monkeypatch.setattr("intake.worker.count_handled", keeping)

    def some(first: int, count: int) -> None:
        for number in range(first, first + count):
            desk.put(mail(f"m{number}", f"Printer {number}"), sender=f"a{number % 7}@corp.example")
        desk.triage()

    tracemalloc.start()
    try:
        some(0, 150)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        some(1_000, 300)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert (grown <= 300 * BYTES_A_MAIL) is defended, grown
