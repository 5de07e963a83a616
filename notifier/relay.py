"""Submits to an SMTP relay on a connection that is kept open; 4xx and 5xx are told apart at every stage (F46 to F50)."""

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from itsm.credential import Bearer
from itsm.errors import Transient
from notifier.mailbox import NoMailbox, path_of
from notifier.settings import RelaySettings
from notifier.submit import Deferred, Delivered, Rejected, Submission

MAX_ON_ONE_CONNECTION = 100
CLOSING = 421  # RFC 5321 3.8: the relay ends the connection
OUR_FAULT = frozenset({530, 534, 535, 538})  # RFC 4954 6: about the login, not about the mail
TROUBLE = (OSError, smtplib.SMTPException, ValueError)


class NotReady(Exception):
    """The relay cannot be used now."""


class Relay:
    """One connection to the relay. TLS never falls back, and a password never goes in the clear (A72)."""

    def __init__(
        self,
        settings: RelaySettings,
        *,
        local_hostname: str,
        bearer: Bearer | None = None,
        connect: Callable[..., smtplib.SMTP] = smtplib.SMTP,
    ) -> None:
        """Nothing is opened until the first mail; `local_hostname` is what EHLO says (RFC 5321 4.1.1.1).

        `bearer` gives a token in the place of the password. `connect` opens a connection without TLS from its first octet; a
        simulation has its own.
        """
        self._settings, self._hostname, self._bearer, self._connect = settings, local_hostname, bearer, connect
        self._smtp: smtplib.SMTP | None = None
        self._sent = 0
        self._fresh = False  # `ready` has just seen that the connection lives

    def ready(self) -> str | None:
        """Connect, with TLS and login as configured; the reason when that fails."""
        try:
            self._connected()
        except NotReady as error:
            return str(error)
        self._fresh = True
        return None

    def submit(self, name: str, reverse_path: str, recipient: str, message: bytes) -> Submission:
        """Submit one mail; a connection that fails is dropped and the next mail opens another."""
        try:
            path = path_of(recipient)
            smtp = self._connected()
        except NoMailbox as error:
            return Rejected(error=str(error))
        except NotReady as error:
            return Deferred(error=str(error), unreachable=True)
        try:
            options = self._options(smtp, path, message)
        except smtplib.SMTPNotSupportedError as error:
            return Rejected(error=str(error))
        refused = self._announce(smtp, reverse_path, path, options)
        return refused or self._transfer(smtp, message)

    def close(self) -> None:
        """Say QUIT when there is somebody to say it to; a loss here changes nothing about what was sent (F50)."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            try:
                if smtp.sock is not None:
                    smtp.sock.settimeout(self._settings.connect_timeout_seconds)
                smtp.quit()
            except TROUBLE:
                smtp.close()

    def abort(self) -> None:
        """Cut the connection under a `submit` in another thread; what the relay has not answered for is uncertain then."""
        smtp = self._smtp
        if smtp is not None and smtp.sock is not None:
            with contextlib.suppress(OSError):  # it is gone already
                socket.socket.shutdown(smtp.sock, socket.SHUT_RDWR)

    def _connected(self) -> smtplib.SMTP:
        """The connection, reset for the next mail, or a new one; raises NotReady."""
        if self._smtp is not None and not (self._fresh or self._reset(self._smtp)):
            self.close()
        self._fresh = False
        if self._smtp is None:
            try:
                self._smtp, self._sent = self._open(), 0
            except (*TROUBLE, Transient) as error:
                raise NotReady(f"cannot use the relay {self._settings.host} port {self._settings.port}: {_words(error)}") from error
        return self._smtp

    def _reset(self, smtp: smtplib.SMTP) -> bool:
        """Whether the connection takes another mail; relays close one that was idle (RFC 5321 4.1.1.5)."""
        try:
            return self._sent < MAX_ON_ONE_CONNECTION and smtp.rset()[0] == 250
        except TROUBLE:
            return False

    def _open(self) -> smtplib.SMTP:
        """Connect, EHLO, TLS, AUTH; raises what smtplib and the socket raise."""
        settings, wait = self._settings, self._settings.connect_timeout_seconds
        if settings.encryption == "implicit":
            context = self._context()
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, self._hostname, timeout=wait, context=context)
        else:
            smtp = self._connect(settings.host, settings.port, self._hostname, timeout=wait)
        try:
            self._greet(smtp)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _greet(self, smtp: smtplib.SMTP) -> None:
        settings = self._settings
        assert smtp.sock is not None
        smtp.sock.settimeout(settings.timeout_seconds)
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the final dot waits 40 ms for an acknowledgement
        smtp.ehlo_or_helo_if_needed()
        if settings.encryption == "starttls":
            smtp.starttls(context=self._context())  # raises when it is not offered: a stripped offer stops us
            smtp.ehlo()
        if settings.login:
            if settings.encryption == "none":
                raise smtplib.SMTPException('a login is set, and without TLS it is not sent; set tls = "starttls" or "implicit"')
            if self._bearer is not None:
                self._show_token(smtp, self._bearer)
            else:
                smtp.login(settings.login, Path(settings.password_file).read_text(encoding="utf-8").strip())

    def _show_token(self, smtp: smtplib.SMTP, bearer: Bearer) -> None:
        """AUTH XOAUTH2; a token that is refused is replaced before the next try."""
        token = bearer.token()
        words = f"user={self._settings.login}\1auth=Bearer {token}\1\1"

        def answer(challenge: bytes | None = None) -> str:
            return words if challenge is None else ""  # a challenge is the reason of the refusal; the empty answer ends it

        try:
            smtp.auth("XOAUTH2", answer)
        except smtplib.SMTPAuthenticationError:
            bearer.refused(token)
            raise

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.ca_file or None)

    def _options(self, smtp: smtplib.SMTP, path: str, message: bytes) -> list[str]:
        """The parameters of MAIL FROM; raises SMTPNotSupportedError when the relay could only spoil the mail."""
        options = [f"SIZE={len(message)}"] if smtp.has_extn("size") else []  # RFC 1870
        if path.isascii() and message.isascii():
            return options
        if not (smtp.has_extn("smtputf8") and smtp.has_extn("8bitmime")):  # RFC 6531 3.2: never to a relay that lacks it
            raise smtplib.SMTPNotSupportedError("the relay takes no addresses with letters beyond ASCII (SMTPUTF8)")
        return [*options, "BODY=8BITMIME", "SMTPUTF8"]

    def _announce(self, smtp: smtplib.SMTP, reverse_path: str, path: str, options: list[str]) -> Submission | None:
        """MAIL FROM and RCPT TO; what became of the mail when it ends here."""
        # RFC 3834 3.3: nobody is to be told what became of an automatic response
        notify = ["NOTIFY=NEVER"] if not reverse_path and smtp.has_extn("dsn") else []
        smtp.command_encoding = "utf-8" if "SMTPUTF8" in options else "ascii"
        heard = False
        try:
            code, text = smtp.docmd("MAIL", " ".join([f"FROM:<{reverse_path}>", *options]))
            if code != 250:
                return self._refused(code, text, heard=False)
            heard = True
            code, text = smtp.docmd("RCPT", " ".join([f"TO:<{path}>", *notify]))
            return None if code in (250, 251) else self._refused(code, text, heard=True)
        except TROUBLE as error:
            self.close()
            return Deferred(error=f"the connection to the relay was lost: {_words(error)}", unreachable=not heard)

    def _transfer(self, smtp: smtplib.SMTP, message: bytes) -> Submission:
        """DATA, the content, the final dot, and the long wait for the answer that makes it theirs (RFC 5321 4.2.5)."""
        dot_sent = False
        try:
            code, text = smtp.docmd("DATA")
            if code != 354:
                return self._refused(code, text, heard=True)
            smtp.send(stuffed(message))
            assert smtp.sock is not None
            smtp.sock.settimeout(self._settings.data_timeout_seconds)
            dot_sent = True
            smtp.send(b".\r\n")
            code, text = smtp.getreply()
            smtp.sock.settimeout(self._settings.timeout_seconds)
        except TROUBLE as error:
            self.close()
            return Deferred(error=f"the connection to the relay was lost: {_words(error)}", uncertain=dot_sent)
        self._sent += 1
        if 200 <= code <= 299:
            return Delivered(reply=_told(code, text))
        if not 400 <= code <= 599:  # no answer of SMTP: nobody knows what it means
            self.close()
            return Deferred(error=_told(code, text), uncertain=True)
        return self._refused(code, text, heard=True)

    def _refused(self, code: int, text: bytes, *, heard: bool) -> Submission:
        """What a reply other than yes means. `heard`: the relay has taken the reverse-path, so it speaks of this mail."""
        told = _told(code, text)
        if code in OUR_FAULT:
            return Deferred(error=told, unreachable=True)
        if code == CLOSING or not 400 <= code <= 599:
            self.close()
            return Deferred(error=told, unreachable=not heard)
        return Rejected(error=told) if code >= 500 else Deferred(error=told)


def stuffed(message: bytes) -> bytes:
    """The content as DATA wants it but for the final dot: dots that begin a line doubled, a line end at its end (RFC 5321 4.5.2)."""
    content = message if message.endswith(b"\r\n") else message + b"\r\n"
    content = content.replace(b"\r\n.", b"\r\n..")
    return b"." + content if content.startswith(b".") else content


def _told(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"[:400]


def _words(error: Exception) -> str:
    """What an exception of smtplib or the socket says, in one line."""
    if isinstance(error, smtplib.SMTPResponseException):
        return _told(error.smtp_code, error.smtp_error)
    return " ".join(str(error).split())[:400] or type(error).__name__
