"""The SMTP listener: connections counted, recipients judged, mail accepted and only then answered 250."""

import asyncio
import functools
import logging
import ssl
from collections import Counter as Tally
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from typing import Any

import structlog
from aiosmtpd.smtp import AuthResult, LoginPassword
from prometheus_client import Counter, Gauge

from intake.accept import Acceptor, Arrival
from intake.scan import received_count
from intake.settings import SmtpSettings, host_and_port, on_loopback
from intake.smtp.policy import MAX_RECEIVED, Policy, authenticates, has_bare_newline, mended, mends, takes, unstuffed
from intake.smtp.session import Session
from itsm.envelope import Channel
from itsm.errors import Transient, TriagedError

SOURCE = "smtp"
MAX_GREETING = 512  # characters of what a client called itself that are looked at

# result: accepted, refused, deferred, too_many_connections
SESSIONS = Counter("triaged_smtp_sessions_total", "Mails and connections by how they ended.", ["result"])
ACCEPTED, REFUSED, DEFERRED = (SESSIONS.labels(result) for result in ("accepted", "refused", "deferred"))
CONNECTIONS = Gauge("triaged_smtp_connections", "Open SMTP connections.")

log = structlog.get_logger("smtp")
logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd logs bodies at DEBUG and addresses at INFO (A60)


class SmtpDoor:
    """Listens on the event loop it is started on. `policy` is asked anew for each recipient, so that a reload counts."""

    def __init__(
        self, settings: SmtpSettings, acceptor: Acceptor, *, policy: Callable[[], Policy], domain: str, clock: Callable[[], datetime]
    ) -> None:
        """`domain` is the desk's: it names us and takes bounces."""
        self._settings, self._acceptor, self._policy, self._domain, self._clock = settings, acceptor, policy, domain, clock
        self.session_limit_seconds = settings.session_limit_seconds
        self.minimum_rate_bytes = settings.minimum_rate_bytes
        self.error_limit, self.command_limit = settings.error_limit, settings.command_limit
        self._open: Tally[str] = Tally()
        self._server: asyncio.Server | None = None
        self._sessions: dict[Session, None] = {}  # in the order they came
        self._hostname = settings.hostname or domain
        self._tls = _tls_context(settings)

    def __dir__(self) -> tuple[str, ...]:
        """What aiosmtpd looks for in its handler, at each connection."""
        return _HOOKS

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen; raises OSError when the address is taken."""
        host, port = host_and_port(self._settings.listen)
        self._server = await asyncio.get_running_loop().create_server(self._session, host, port, backlog=512)
        log.info("listening", door="smtp", listen=self._settings.listen)

    async def stop(self) -> None:
        """Take no more connections and end those that are open; a mail in the middle of DATA was never acknowledged."""
        if self._server is None:
            return
        self._server.close()
        for session in list(self._sessions):
            if session.transport is not None:
                session.transport.close()
        await asyncio.sleep(0)

    def _session(self) -> Session:
        session = Session(
            self,
            self,
            data_size_limit=self._settings.message_limit_bytes,
            enable_SMTPUTF8=True,
            hostname=self._hostname,
            ident="triaged",
            tls_context=self._tls,
            timeout=self._settings.command_timeout_seconds,
            auth_require_tls=not on_loopback(self._settings.listen),
            auth_exclude_mechanism=None if self._settings.login else ("LOGIN", "PLAIN"),
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )
        if len(self._sessions) > 2_000:
            self._sessions = {each: None for each in self._sessions if each.transport is not None}
        self._sessions[session] = None
        return session

    def admit(self, peer: str) -> str | None:
        """Count a connection, or say why not."""
        if self._open.total() >= self._settings.connection_limit or self._open[peer] >= self._settings.connection_limit_per_address:
            SESSIONS.labels("too_many_connections").inc()
            return "421 4.7.0 too many connections, try again later"
        self._open[peer] += 1
        CONNECTIONS.inc()
        return None

    def leave(self, peer: str) -> None:
        """A counted connection is gone."""
        CONNECTIONS.dec()
        self._open[peer] -= 1
        if self._open[peer] <= 0:
            del self._open[peer]
        self._sessions = {each: None for each in self._sessions if each.transport is not None}

    def _authenticate(self, server: Session, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        name, password = data.login.decode("utf-8", "replace"), data.password.decode("utf-8", "surrogateescape")
        if authenticates(self._policy(), name, password):
            return AuthResult(success=True, auth_data=name)
        return AuthResult(success=False, handled=False, message="535 5.7.8 wrong name or password")

    async def handle_EHLO(self, server: Session, session: Any, envelope: Any, hostname: str, responses: list[str]) -> list[str]:
        """Offer what we do besides aiosmtpd's own (RFC 2034, RFC 2920)."""
        session.host_name = hostname
        kept = [each for each in responses if not (each.startswith("250-AUTH") and not self._settings.login)]
        return [*kept[:-1], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", kept[-1]]

    async def handle_RCPT(self, server: Session, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        """Only what is ours; we never relay (RFC 5321 3.6)."""
        if len(envelope.rcpt_tos) >= self._settings.recipient_limit:
            return "452 4.5.3 too many recipients"
        if not takes(self._policy(), address, self._domain):
            REFUSED.inc()
            return "550 5.1.1 no such address here; we relay for nobody"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Session, session: Any, envelope: Any) -> str:
        """Store the mail, then answer."""
        peer = str(session.peer[0]) if session.peer else ""
        body = envelope.original_content
        if has_bare_newline(body):
            if not mends(self._policy(), peer):
                REFUSED.inc()
                return "550 5.6.11 a bare CR or LF is not allowed (RFC 5321 2.3.8)"
            body = mended(body)
        body = unstuffed(body)
        if received_count(body) >= MAX_RECEIVED:
            REFUSED.inc()
            return f"554 5.4.6 the mail has passed {MAX_RECEIVED} hosts: it goes in a circle"
        reverse_path = "" if envelope.mail_from in (None, "<>") else str(envelope.mail_from)
        arrival = Arrival(
            channel=Channel.SMTP,
            source=SOURCE,
            body=self._trace(session, envelope, peer, reverse_path) + body,
            reverse_path=reverse_path,
            forward_paths=tuple(envelope.rcpt_tos),
            peer=peer,
            login=session.auth_data if session.authenticated else None,
        )
        try:
            accepted = await self._acceptor.accept(arrival)
        except TriagedError as error:
            DEFERRED.inc()
            log.warning("deferred", peer=peer, reason=str(error))
            code = "452" if error.enhanced == "4.3.1" else "451"
            return f"{code} {error.enhanced if isinstance(error, Transient) else '4.3.0'} {error}"
        ACCEPTED.inc()
        return f"250 2.0.0 accepted as in-{accepted.inbox_id}"

    def _trace(self, session: Any, envelope: Any, peer: str, reverse_path: str) -> bytes:
        """Return-Path and Received (RFC 5321 4.4)."""
        kind = "ESMTP" if session.extended_smtp else "SMTP"
        kind = "UTF8SMTP" if envelope.smtp_utf8 else kind + ("S" if session.ssl else "") + ("A" if session.authenticated else "")
        lines = (
            f"Return-Path: <{reverse_path}>\r\n"
            f"Received: from {_greeted(str(session.host_name)[:MAX_GREETING]) or 'unknown'} ([{peer}])\r\n"
            f"\tby {self._hostname} (triaged) with {kind};\r\n"
            f"\t{_date(self._clock().replace(microsecond=0))}\r\n"
        )
        return lines.encode("utf-8", "surrogateescape")


_HOOKS = tuple(name for name in dir(SmtpDoor) if name.startswith("handle_"))


@functools.lru_cache(maxsize=256)  # a host that sends much says the same each time
def _greeted(name: str) -> str:
    """What a client called itself, as it may stand in a header."""
    return "".join(each for each in name if each.isascii() and each.isprintable() and each not in "()\\<>")[:255]


@functools.lru_cache(maxsize=2)
def _date(second: datetime) -> str:
    """RFC 5322 3.3; the mails of one second share it."""
    return format_datetime(second)


def _tls_context(settings: SmtpSettings) -> ssl.SSLContext | None:
    if not settings.tls_certificate_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file or None)
    return context
