"""When a mail is tried again: minutes at first, then hours, for days (RFC 5321 4.5.4.1)."""

from datetime import datetime, timedelta

# two attempts more in the first half hour, as grey-listing wants; then every few hours
WAITS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 120, 240))
SPREAD = 0.2  # of the wait, both ways: a herd that failed together does not come back together


def next_attempt(*, attempts: int, created_at: datetime, now: datetime, give_up_after: timedelta, jitter: float) -> datetime | None:
    """When to try after `attempts` failed ones, None when its days are over. `jitter` runs from 0 to 1.

    The last attempt falls on the end of its days, so that a relay that came back in the last hours is not missed.
    """
    deadline = created_at + give_up_after
    if now >= deadline:
        return None
    wait = WAITS[min(max(attempts, 1), len(WAITS)) - 1]
    return min(now + wait * (1 - SPREAD + 2 * SPREAD * jitter), deadline)
