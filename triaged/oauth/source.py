"""Gives tokens to mailboxes and the relay: from the store while they last, fresh ones early, kept before they are used."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter, Gauge

from itsm.errors import Transient
from store import leases, oauth_tokens
from store.oauth_tokens import Token
from store.store import Store
from triaged import clock
from triaged.oauth.issuer import Issuer, OauthAnswer
from triaged.oauth.settings import OauthSettings

EARLY = timedelta(minutes=10)  # before the end, or a third of the token's life when that is less
LEASE = timedelta(seconds=60)
WAIT_SECONDS, ASKS = 0.5, 10  # for another process that refreshes
AGAIN_SECONDS = 30.0  # after a failure the issuer is left alone so long
REFUSED_AGAIN = timedelta(seconds=60)  # a token younger than this is not replaced because a server refused it

# name: the configured names
EXPIRY = Gauge("triaged_oauth_token_expiry_timestamp_seconds", "When the access token ends.", ["name"])
FAILED = Counter("triaged_oauth_refresh_errors_total", "Times that no fresh token could be had.", ["name"])
REFRESHED = Counter("triaged_oauth_refreshes_total", "Fresh tokens.", ["name"])

log = structlog.get_logger("oauth")


class TokenSource:
    """The tokens of one `[[oauth]]`, for any thread."""

    def __init__(self, settings: OauthSettings, store: Store, *, now: Callable[[], datetime] = clock.now) -> None:
        """Nothing is asked yet."""
        self.settings, self._store, self._now = settings, store, now
        self._issuer = Issuer(settings, now)
        self._lock = threading.Lock()
        self._unsaved: Token | None = None
        self._refused: str | None = None
        self._of_file: str | None = None  # the refresh token of the file that the issuer said no to
        self._failed: tuple[float, Transient] | None = None

    def token(self) -> str:
        """An access token that is good for some minutes; raises Transient when there is none."""
        with self._lock:
            return self._token().access_token

    def refused(self, token: str) -> None:
        """A server took this token for bad."""
        with self._lock:
            self._refused = token

    def refresh_early(self) -> None:
        """What a timer does, so that an end is seen before a mailbox or a mail meets it; failures are counted and logged."""
        try:
            self.token()
        except Transient as error:
            log.debug("no token", name=self.settings.name, error=str(error))  # said loudly where it failed

    def _token(self) -> Token:
        held = self._store.read(lambda tx: oauth_tokens.find(tx, self.settings.name))
        if held is not None:
            EXPIRY.labels(self.settings.name).set(held.expires_at.timestamp())
        if held is not None and not self._is_due(held):
            return held
        if self._failed is not None and clock.monotonic() - self._failed[0] < AGAIN_SECONDS:
            return self._last_resort(held, self._failed[1])
        try:
            fresh = self._refresh(held)
        except Transient as error:
            self._failed = (clock.monotonic(), error)
            FAILED.labels(self.settings.name).inc()
            log.error("token not refreshed", name=self.settings.name, error=str(error))
            return self._last_resort(held, error)
        self._failed = None
        EXPIRY.labels(self.settings.name).set(fresh.expires_at.timestamp())
        return fresh

    def _is_due(self, held: Token) -> bool:
        now = self._now()
        if held.access_token == self._refused and now - held.obtained_at > REFUSED_AGAIN:
            return True
        return now >= held.expires_at - min(EARLY, (held.expires_at - held.obtained_at) / 3)

    def _last_resort(self, held: Token | None, error: Transient) -> Token:
        """The token we have, while it lasts."""
        if held is not None and self._now() < held.expires_at and held.access_token != self._refused:
            return held
        raise error

    def _refresh(self, held: Token | None) -> Token:
        """One process asks, the others take what it got: a refresh token may be good for one use only."""
        name, holder = f"oauth/{self.settings.name}", self._store.process_id
        for _ in range(ASKS):
            if self._store.write(lambda tx: leases.take(tx, name, holder=holder, duration=LEASE)).result() is not None:
                break
            threading.Event().wait(WAIT_SECONDS)
        else:
            raise Transient(f"another process refreshes the token {self.settings.name!r}")
        try:
            now_held = self._store.read(lambda tx: oauth_tokens.find(tx, self.settings.name))
            if now_held is not None and now_held != held and not self._is_due(now_held):
                return now_held
            return self._keep(self._unsaved or self._ask(now_held))
        finally:
            self._store.write(lambda tx: leases.release(tx, name, holder=holder)).result()

    def _ask(self, held: Token | None) -> Token:
        if self.settings.grant == "client_credentials":
            return self._issuer.token(None)
        kept = held.refresh_token if held else None
        if kept:
            try:
                return self._issuer.token(kept)
            except OauthAnswer as error:
                if error.code != "invalid_grant":
                    raise
                return self._ask_by_file(error)
        return self._ask_by_file(
            Transient(f"nobody has logged in for {self.settings.name!r} yet: `triaged oauth login {self.settings.name}`")
        )

    def _ask_by_file(self, otherwise: Transient) -> Token:
        """By the refresh token of the file, which somebody may have replaced; one that was refused is not tried again."""
        first = self._issuer.first_refresh_token()
        if not first or first == self._of_file:
            raise otherwise
        try:
            return self._issuer.token(first)
        except OauthAnswer as error:
            if error.code == "invalid_grant":
                self._of_file = first
            raise

    def _keep(self, token: Token) -> Token:
        """Persist before use: a rotated refresh token that only we remember would die with us. A store that fails keeps it for later."""
        self._unsaved = token
        self._store.write(lambda tx: oauth_tokens.keep(tx, self.settings.name, token)).result()
        self._unsaved = self._refused = None
        REFRESHED.labels(self.settings.name).inc()
        log.info("token refreshed", name=self.settings.name, expires_at=token.expires_at.isoformat())
        return token
