"""Fits the doors to the number of files and sockets the process may have open: a door that is full says so, one without descriptors cannot."""

import resource

import msgspec
import structlog

OWN = 64  # log, database, pipes to children, listeners, the event loop
PER_MAILBOX, PER_CONNECTION = 8, 2  # of a mailbox or the relay: a socket, two ends of a pipe, and what opens beside them for a moment

log = structlog.get_logger("descriptors")


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections each kind of door may hold."""

    smtp: int
    http: int


def fitted(wanted: Caps, available: int) -> Caps:
    """What of the wanted caps `available` descriptors allow: all of it, or each door its share, at least one."""
    total = wanted.smtp + wanted.http
    if total <= available:
        return wanted
    share = max(0, available) / total
    return Caps(smtp=max(1, int(wanted.smtp * share)), http=max(1, int(wanted.http * share)))


def fit(wanted: Caps, *, reserved: int) -> Caps:
    """Raise the soft limit of this process (RLIMIT_NOFILE) as far as its hard one allows, and fit the caps to what there is.

    `reserved` is what everything else needs.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted.smtp + wanted.http + reserved
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return wanted
    found = fitted(wanted, soft - reserved)
    if found != wanted:
        log.warning(
            "doors fitted to the limit of open files; raise LimitNOFILE", limit=soft, wanted=needed, smtp=found.smtp, http=found.http
        )
    return found
