"""Tells the service manager how we are (sd_notify(3)): READY, RELOADING, STOPPING, WATCHDOG; silent where there is none."""

import os
import socket

from triaged import clock

SOCKET_VARIABLE, WATCHDOG_VARIABLE = "NOTIFY_SOCKET", "WATCHDOG_USEC"


def notify(state: str) -> bool:
    """Send one state, such as `READY=1`; False when nobody listens."""
    path = os.environ.get(SOCKET_VARIABLE, "")
    if not path:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        try:
            out.connect("\0" + path[1:] if path.startswith("@") else path)
            out.sendall(state.encode())
        except OSError:
            return False
    return True


def reloading() -> bool:
    """Say that a reload begins; its end is said by READY=1."""
    return notify(f"RELOADING=1\nMONOTONIC_USEC={int(clock.monotonic() * 1_000_000)}")


def watchdog_seconds() -> float | None:
    """How often the manager wants to hear of us: half of its limit; None when it does not watch."""
    text = os.environ.get(WATCHDOG_VARIABLE, "")
    return int(text) / 2_000_000 if text.isdecimal() and int(text) else None
