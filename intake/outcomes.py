"""The metrics of what became of envelopes: moved once a commit, by whoever made it."""

from collections import Counter as Counts
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from prometheus_client import Counter, Histogram

from casework.part import Handled
from itsm.envelope import Envelope, Outcome

# outcome: created, appended, linked, duplicate, suppressed, recorded, refused, quarantined, dropped
MESSAGES = Counter("triaged_intake_messages_total", "Parts by their first outcome.", ["channel", "outcome"])
LAG = Histogram(
    "triaged_intake_lag_seconds",
    "Received to committed decision, once an envelope and commit.",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 600),
)


def count_handled(done: Sequence[Handled], now: datetime) -> None:
    """Of judged parts: the outcome of each, the lag of each envelope."""
    outcomes = Counts((each.part.envelope.channel.value, each.outcome.value) for each in done if each.outcome is not None)
    for (channel, outcome), count in outcomes.items():
        MESSAGES.labels(channel, outcome).inc(count)
    _observe({each.part.envelope.id: each.part.envelope for each in done}.values(), now)


def count_repeats(done: Iterable[tuple[Envelope, int]], now: datetime) -> None:
    """Of envelopes with so many parts, all of them known."""
    parts: Counts[str] = Counts()
    envelopes = []
    for envelope, count in done:
        parts[envelope.channel.value] += count
        envelopes.append(envelope)
    for channel, count in parts.items():
        MESSAGES.labels(channel, Outcome.DUPLICATE.value).inc(count)
    _observe(envelopes, now)


def _observe(envelopes: Collection[Envelope], now: datetime) -> None:
    of_channel = {channel: LAG.labels(channel.value) for channel in {each.channel for each in envelopes}}
    for envelope in envelopes:
        of_channel[envelope.channel].observe(max(0.0, (now - envelope.received_at).total_seconds()))
