"""Talks with an issuer of tokens, by Authlib over HTTP with limits of size and time (RFC 6749, 8628)."""

import contextlib
import ssl
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx2
import msgspec
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from itsm.errors import Permanent, Transient
from store.oauth_tokens import Token
from triaged import clock
from triaged.oauth.settings import OauthSettings
from triaged.secret import secret_of

STEP_SECONDS, ANSWER_SECONDS = 10.0, 30.0
MAX_ANSWER_BYTES = 64 * 1024
DEFAULT_LIFE_SECONDS = 3600
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
MAX_DEVICE_SECONDS, DEFAULT_INTERVAL_SECONDS, SLOWER_SECONDS = 1800, 5, 5


class DeviceLogin(msgspec.Struct, frozen=True, kw_only=True):
    """What a person must do on another device (RFC 8628 3.2)."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int = MAX_DEVICE_SECONDS
    interval: int = DEFAULT_INTERVAL_SECONDS


class Bounded(httpx2.BaseTransport):
    """Reads an answer whole, under a limit of size and of time; without redirects, proxies or encodings."""

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        """`inner` is what connects."""
        self._inner = inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Ask, and read the answer; raises ReadError when it is too large or too slow."""
        until = clock.monotonic() + ANSWER_SECONDS
        request.headers["Accept-Encoding"] = "identity"
        response = self._inner.handle_request(request)
        try:
            octets = bytearray()
            for chunk in response.iter_raw():
                octets += chunk
                if len(octets) > MAX_ANSWER_BYTES or clock.monotonic() > until:
                    raise httpx2.ReadError("the answer is too large or too slow", request=request)
        finally:
            response.close()
        kind = response.headers.get("content-type", "application/json")
        return httpx2.Response(response.status_code, headers={"content-type": kind}, content=bytes(octets), request=request)

    def close(self) -> None:
        """Close what connects."""
        self._inner.close()


class Issuer:
    """One client of one issuer. Raises Transient when no token can be had now, in words for the log: never with a secret."""

    def __init__(self, settings: OauthSettings, now: Callable[[], datetime]) -> None:
        """Nothing is asked yet."""
        self._settings, self._now = settings, now

    def first_refresh_token(self) -> str | None:
        """The refresh token of the file, where one is configured."""
        return secret_of(self._settings.refresh_token_file) if self._settings.refresh_token_file else None

    def token(self, refresh_token: str | None) -> Token:
        """A fresh token, by the grant of the settings."""
        settings = self._settings
        with self._client() as client:
            if settings.grant == "client_credentials":
                answer = client.fetch_token(settings.token_endpoint, grant_type="client_credentials", scope=settings.scopes)
            else:
                answer = client.refresh_token(settings.token_endpoint, refresh_token=refresh_token)
            return self._read(answer, refresh_token)

    def begin_device_login(self) -> DeviceLogin:
        """Ask for a code that a person types on another device."""
        with self._client() as client:
            form = {"client_id": self._settings.client_id, "scope": self._settings.scopes}
            answer = client.request("POST", self._settings.device_endpoint, data=form, withhold_token=True)
            answer.raise_for_status()
            return msgspec.json.decode(answer.content, type=DeviceLogin)

    def device_token(self, login: DeviceLogin) -> Token | str:
        """The token, once the person has agreed; until then the issuer's word: `authorization_pending` or `slow_down`."""
        try:
            with self._client() as client:
                answer = client.fetch_token(self._settings.token_endpoint, grant_type=DEVICE_GRANT, device_code=login.device_code)
                return self._read(answer, None)
        except OauthAnswer as error:
            if error.code in ("authorization_pending", "slow_down"):
                return error.code
            raise

    @contextlib.contextmanager
    def _client(self) -> Iterator[Any]:
        """A client of Authlib; its errors become ours."""
        settings = self._settings
        secret = secret_of(settings.client_secret_file) if settings.client_secret_file else None
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        transport = Bounded(httpx2.HTTPTransport(verify=context, trust_env=False))
        client = OAuth2Client(
            client_id=settings.client_id,
            client_secret=secret,
            token_endpoint_auth_method="client_secret_post" if secret else "none",
            scope=settings.scopes,
            token={"access_token": "", "token_type": "Bearer"},
            transport=transport,
            timeout=STEP_SECONDS,
            follow_redirects=False,
        )
        try:
            with client:
                yield client
        except OAuthError as error:
            raise OauthAnswer(settings.name, str(error.error), str(error.description or "")) from error
        except (httpx2.HTTPError, ValueError, msgspec.MsgspecError) as error:
            raise Transient(f"no token for {settings.name!r}: {' '.join(str(error).split())[:200] or type(error).__name__}") from error

    def _read(self, answer: dict[str, Any], refresh_token: str | None) -> Token:
        """The token of an answer; a refresh token it does not give anew stays the one before (RFC 6749 6)."""
        access, life = answer.get("access_token"), answer.get("expires_in", DEFAULT_LIFE_SECONDS)
        if not isinstance(access, str) or not access:
            raise Transient(f"no token for {self._settings.name!r}: the answer has none")
        seconds = int(life) if str(life).isdecimal() else DEFAULT_LIFE_SECONDS
        fresh = answer.get("refresh_token")
        now = self._now()
        return Token(
            access_token=access,
            refresh_token=fresh if isinstance(fresh, str) and fresh else refresh_token,
            obtained_at=now,
            expires_at=now + timedelta(seconds=seconds),
        )


class OauthAnswer(Transient):
    """The issuer said no."""

    def __init__(self, name: str, code: str, description: str) -> None:
        """`code` is the error of RFC 6749 5.2."""
        again = f"; log in again: `triaged oauth login {name}`" if code == "invalid_grant" else ""
        super().__init__(f"no token for {name!r}: {code} {' '.join(description.split())[:150]}".strip() + again)
        self.code = code


def wait_for_person(issuer: Issuer, login: DeviceLogin, *, sleep: Callable[[float], None], elapsed_seconds: Callable[[], float]) -> Token:
    """Ask until the person has agreed (RFC 8628 3.5); raises Permanent when the code has expired."""
    interval = max(1, login.interval)
    while elapsed_seconds() < min(login.expires_in, MAX_DEVICE_SECONDS):
        sleep(interval)
        answer = issuer.device_token(login)
        if isinstance(answer, Token):
            return answer
        interval += SLOWER_SECONDS if answer == "slow_down" else 0
    raise Permanent("the code has expired and nobody agreed; begin again")
