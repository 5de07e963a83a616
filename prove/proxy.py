"""A TCP proxy between us and PostgreSQL that cuts where it is told: before a COMMIT arrives, or before its answer does."""

import contextlib
import socket
import threading

COMMIT = b"COMMIT"
PIECE = 65536


class CuttingProxy:
    """Listens on a loopback port of its own and forwards to another. `cut` says what happens to the next COMMIT."""

    def __init__(self, port: int) -> None:
        """Start listening."""
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._next: str | None = None
        self._every = 0
        self._seen = 0
        self.cuts = 0
        self._open: set[socket.socket] = set()
        self._refusing = False
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def cut(self, where: str) -> None:
        """Cut the next COMMIT: `before` it arrives, or its `answer`."""
        self._next = where

    def cut_every(self, commits: int) -> None:
        """Lose the answer of every so-manieth COMMIT from now on; 0: of none."""
        self._every = commits

    def partition(self, *, on: bool) -> None:
        """While on, every connection is cut and no new one is served."""
        self._refusing = on
        if on:
            self._cut_all()

    def close(self) -> None:
        """Stop listening and cut everything."""
        self._listener.close()
        self._cut_all()

    def _cut_all(self) -> None:
        with self._lock:
            found = [*self._open]
        for each in found:
            _shut(each)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._refusing:
                    client.close()
                    continue
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        both = {client, server}
        lost = threading.Event()  # the next answer is for nobody
        with self._lock:
            self._open |= both
        back = threading.Thread(target=self._answers, args=(server, client, lost), daemon=True)
        back.start()
        with contextlib.suppress(OSError):
            while piece := client.recv(PIECE):
                where = self._judge(piece)
                if where == "before":
                    break
                if where == "answer":
                    lost.set()
                server.sendall(piece)
        for each in both:
            _shut(each)
        back.join()
        with self._lock:
            self._open -= both

    def _answers(self, server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(PIECE):
                if lost.is_set():  # the server has committed, for it answers
                    break
                client.sendall(piece)
        _shut(client)
        _shut(server)

    def _judge(self, piece: bytes) -> str | None:
        if COMMIT not in piece:
            return None
        with self._lock:
            self._seen += 1
            where, self._next = self._next, None
            if where is None and self._every and self._seen % self._every == 0:
                where = "answer"
            self.cuts += where is not None
            return where


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
