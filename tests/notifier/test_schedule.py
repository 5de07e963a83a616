"""When a mail is tried again (RFC 5321 4.5.4.1)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from notifier.schedule import next_attempt
from store import outbox

MADE = datetime(2026, 3, 23, 10, 30, tzinfo=UTC)
DAYS = timedelta(days=5)


def when(attempts, *, after=timedelta(), jitter=0.5):
    return next_attempt(attempts=attempts, created_at=MADE, now=MADE + after, give_up_after=DAYS, jitter=jitter)


def test_minutes_at_first_then_hours():
    waits = [(when(attempts) - MADE) / timedelta(minutes=1) for attempts in (1, 2, 3, 4, 5, 6, 7, 100)]
    assert waits == [5, 15, 30, 60, 120, 240, 240, 240]


def test_a_grey_listed_mail_is_tried_twice_within_half_an_hour():
    first = when(1, jitter=1)
    second = when(2, after=first - MADE, jitter=1)
    assert second - MADE < timedelta(minutes=30)


def test_after_its_days_a_mail_is_given_up_and_not_before_a_last_try():
    assert when(40, after=DAYS - timedelta(minutes=1)) == MADE + DAYS
    assert when(41, after=DAYS) is None
    assert when(41, after=DAYS + timedelta(days=1)) is None


@given(attempts=st.integers(0, 1000), jitter=st.floats(0, 1), after=st.timedeltas(timedelta(), DAYS))
def test_the_next_attempt_is_later_and_never_past_the_end(attempts, jitter, after):
    found = when(attempts, after=after, jitter=jitter)
    if after < DAYS:
        assert MADE + after < found <= MADE + DAYS


def test_a_herd_that_failed_together_comes_back_apart():
    assert len({when(3, jitter=at / 100) for at in range(100)}) == 100


def test_no_attempt_is_later_than_what_the_outbox_believes():
    assert when(100, jitter=1) - MADE < outbox.LONGEST_WAIT
