"""A TCP proxy that cuts, splits, delays and stalls as it is told, the same way for the same seed."""

import contextlib
import random
import select
import socket
import threading
import time
from collections.abc import Callable

import msgspec

CHUNK_BYTES = 65_536
TO_CLIENT, TO_SERVER = "to_client", "to_server"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one connection.

    `cut_after_bytes` of `direction` both sides are closed, mid-octet-stream; `cut_at` does so once these octets have passed.
    `stall_after_bytes`: from there nothing is passed on, and nobody is told. `segment_bytes` splits what is passed on into
    segments of at most this size, each a packet of its own; `delay_seconds` waits before each.
    """

    direction: str = TO_CLIENT
    cut_after_bytes: int | None = None
    cut_at: bytes | None = None
    stall_after_bytes: int | None = None
    segment_bytes: int | None = None
    delay_seconds: float = 0.0


class ChaosProxy:
    """Listens on loopback and passes each connection to `port`, under the fault that `plan` gives for its number, from 0."""

    def __init__(self, port: int, plan: Callable[[int], Fault | None]) -> None:
        """Listen; `plan` may be replaced at any time and counts for the next connection."""
        self.target, self.plan = port, plan
        self.connections = 0
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="chaos", daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that are open end with their next octet."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            fault = self.plan(self.connections)
            self.connections += 1
            threading.Thread(target=self._carry, args=(client, fault or Fault()), name="chaos-connection", daemon=True).start()

    def _carry(self, client: socket.socket, fault: Fault) -> None:
        with client, contextlib.suppress(OSError):
            server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            with server:
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _Carrying(client, server, fault).run(lambda: self._closing)


class _Carrying:
    """One connection on its way."""

    def __init__(self, client: socket.socket, server: socket.socket, fault: Fault) -> None:
        self._ways = {client: (server, TO_SERVER), server: (client, TO_CLIENT)}
        self._fault = fault
        self._passed = {TO_CLIENT: 0, TO_SERVER: 0}
        self._tail = b""
        self._stalled = False

    def run(self, closing: Callable[[], bool]) -> None:
        """Until one side ends, the fault strikes, or the proxy is closed."""
        while not closing():
            ready, _, _ = select.select([] if self._stalled else list(self._ways), [], [], 0.1)
            for source in ready:
                target, direction = self._ways[source]
                octets = source.recv(CHUNK_BYTES)
                if not octets or not self._pass(target, direction, octets):
                    return

    def _pass(self, target: socket.socket, direction: str, octets: bytes) -> bool:
        """Pass on what the fault lets through; False when it cut the connection."""
        fault, ends = self._fault, False
        if direction == fault.direction:
            octets, ends = self._struck(octets)
        for at in range(0, len(octets), fault.segment_bytes or CHUNK_BYTES):
            if fault.delay_seconds:
                time.sleep(fault.delay_seconds)
            target.sendall(octets[at : at + (fault.segment_bytes or CHUNK_BYTES)])
        self._passed[direction] += len(octets)
        return not ends

    def _struck(self, octets: bytes) -> tuple[bytes, bool]:
        """The octets up to where the fault strikes, and whether it cuts there."""
        fault, before = self._fault, self._passed[self._fault.direction]
        if fault.cut_after_bytes is not None and before + len(octets) >= fault.cut_after_bytes:
            return octets[: max(0, fault.cut_after_bytes - before)], True
        if fault.cut_at is not None:
            seen = self._tail + octets
            found = seen.find(fault.cut_at)
            if found >= 0:
                return octets[: max(0, found + len(fault.cut_at) - len(self._tail))], True
            self._tail = seen[-len(fault.cut_at) :]
        if fault.stall_after_bytes is not None and before + len(octets) >= fault.stall_after_bytes:
            self._stalled = True
            return octets[: max(0, fault.stall_after_bytes - before)], False
        return octets, False


def cuts(seed: int, count: int, highest_bytes: int) -> list[Fault]:
    """So many cuts at random octets, the same ones for the same seed."""
    choice = random.Random(seed)
    return [Fault(cut_after_bytes=choice.randint(1, highest_bytes)) for _ in range(count)]
