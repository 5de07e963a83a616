"""A soak finds what rises: memory, descriptors, queues."""

import os

from prove.gauge import QUEUES, Sample, resident_mib, slope_a_minute
from prove.soak import PENDING_LIMIT, judged


def samples(*, mib_a_minute: float = 0.0, descriptors_a_minute: float = 0.0, pending: float = 0.0) -> list[Sample]:
    return [
        Sample(
            at=minute * 60.0,
            daemon_mib=100 + minute * mib_a_minute,
            children_mib=30.0,
            descriptors=int(40 + minute * descriptors_a_minute),
            queues={QUEUES[0]: 1.0, QUEUES[1]: pending, QUEUES[2]: 5.0},
        )
        for minute in range(31)
    ]


def test_the_slope_is_that_of_the_line_through_the_points():
    assert slope_a_minute([(0, 10), (60, 12), (120, 14)]) == 2.0
    assert slope_a_minute([(5, 10)]) == 0.0


def test_a_level_run_has_no_findings():
    assert judged(samples(mib_a_minute=0.4), 30)[0] == []


def test_what_rises_is_found():
    assert judged(samples(mib_a_minute=0.6), 30)[0] == ["memory of the daemon rises by 0.60 MiB a minute"]
    assert judged(samples(descriptors_a_minute=2.0), 30)[0] == ["32 descriptors more at the end"]
    assert judged(samples(pending=PENDING_LIMIT), 30)[0] == ["the inbox reached its limit"]


def test_the_memory_of_a_process_is_read():
    assert 5 < resident_mib(os.getpid()) < 4_096
