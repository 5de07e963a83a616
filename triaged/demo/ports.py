"""Ports of the loopback interface that are still free when the process they are meant for listens on them."""

import errno
import fcntl
import itertools
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

FIRST = 10_000
EPHEMERAL = 32_768  # Linux draws the source ports of outgoing connections from here on (ip_local_port_range)
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")

_claims: list[int] = []  # the descriptor that holds this process' claims, as long as it lives
_candidates: list[Iterator[int]] = []


def free_ports(count: int) -> list[int]:
    """`count` ports nobody listens on and nobody else is given while this process lives.

    A port the kernel picked (bind to 0) may be the source port of a connection a moment later, and is then no
    longer free: these lie below the range it picks from. A lock on one octet of a file, octet N for port N, keeps
    two processes that look at the same time from finding the same port. Raises OSError when there are no more.
    """
    ports = list(itertools.islice(filter(_is_ours, _walk()), count))
    if len(ports) < count:
        raise OSError(errno.EADDRNOTAVAIL, f"there are no {count} free ports of 127.0.0.1 from {FIRST} on")
    return ports


def _walk() -> Iterator[int]:
    if not _candidates:
        _candidates.append(iter(_shuffled()))
    return _candidates[0]


def _shuffled() -> list[int]:
    try:
        last = int(RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        last = EPHEMERAL
    ports = list(range(FIRST, last if last > FIRST + 1_000 else EPHEMERAL))
    random.shuffle(ports)
    return ports


def _is_ours(port: int) -> bool:
    if not _claims:
        name = Path(tempfile.gettempdir()) / f"triaged-ports-{os.getuid()}"
        _claims.append(os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        fcntl.lockf(_claims[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
