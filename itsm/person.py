"""People outside the desk as data: requesters, their organisations, and who follows a ticket."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A requester. `address` is canonical and the one their tickets stand under; `addresses` are all of them, it included."""

    id: int = 0
    address: str
    addresses: tuple[str, ...] = ()
    name: str = ""
    organisation: str = ""
    vip: bool = False
    language: str = ""
    time_zone: str = ""


class Organisation(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation; whoever writes from one of its `domains` and is not known otherwise belongs to it."""

    id: int = 0
    key: str
    name: str
    domains: tuple[str, ...] = ()


class FollowerKind(StrEnum):
    """A watcher reads what the desk tells the requester; somebody muted is left out of the desk's own notices for a while."""

    WATCHER = "watcher"
    MUTED = "muted"


class Follower(msgspec.Struct, frozen=True, kw_only=True):
    """One follower of a ticket, by canonical address; `until` ends a mute."""

    ticket_id: int
    address: str
    kind: FollowerKind = FollowerKind.WATCHER
    name: str = ""
    until: datetime | None = None
    added_by: str = ""


def watchers(followers: tuple[Follower, ...]) -> tuple[Follower, ...]:
    """Those who are told what the requester is told."""
    return tuple(each for each in followers if each.kind is FollowerKind.WATCHER)


def muted(followers: tuple[Follower, ...], now: datetime) -> frozenset[str]:
    """The addresses that want no notices of the desk at this time."""
    return frozenset(each.address for each in followers if each.kind is FollowerKind.MUTED and (each.until is None or now < each.until))
