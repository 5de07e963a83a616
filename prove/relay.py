"""A relay that writes down every copy it takes, and can be told to fail."""

import asyncio
import hashlib
import threading
from collections import defaultdict, deque
from email import message_from_bytes
from typing import Any

from aiosmtpd.smtp import SMTP


class RecordingRelay:
    """Listens on loopback in a thread of its own. `copies` is Message-ID -> hashes of the copies it took, in order."""

    def __init__(self) -> None:
        """Start listening."""
        self.copies: dict[str, list[str]] = defaultdict(list)
        self.recipients: dict[str, set[str]] = defaultdict(set)
        self.newest: deque[tuple[str, str]] = deque(maxlen=500)  # (Message-ID, recipient) of the last mails, for who answers them
        self._sessions: list[SMTP] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(self._session, "127.0.0.1", 0)

    def _session(self) -> SMTP:
        session = SMTP(self, hostname="relay", loop=self._loop, enable_SMTPUTF8=True)
        self._sessions.append(session)
        return session

    async def _close(self) -> None:
        self._server.close()
        for session in self._sessions:
            if session.transport is not None:
                session.transport.close()
        await asyncio.sleep(0.05)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002, N802 -- aiosmtpd calls it so
        """Write the copy down, then say yes."""
        message_id = str(message_from_bytes(envelope.content)["message-id"]).strip("<>")
        self.copies[message_id].append(hashlib.sha256(envelope.content).hexdigest())
        self.recipients[message_id] |= set(envelope.rcpt_tos)
        self.newest.append((message_id, envelope.rcpt_tos[0]))
        return "250 2.0.0 taken"

    def close(self) -> None:
        """Stop listening."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
