"""Instants between values and columns: aware UTC datetime on one side, microseconds since 1970 on the other."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_column(instant: datetime) -> int:
    """Microseconds since 1970 of an aware instant."""
    return (instant - _EPOCH) // _MICROSECOND


def to_column_or_none(instant: datetime | None) -> int | None:
    """The same for an instant that may be missing."""
    return None if instant is None else to_column(instant)


def from_column(microseconds: int) -> datetime:
    """The aware UTC instant of a column."""
    return _EPOCH + timedelta(microseconds=microseconds)


def from_column_or_none(microseconds: int | None) -> datetime | None:
    """The same for a column that may be NULL."""
    return None if microseconds is None else from_column(microseconds)
