"""`[[oauth]]`: where a token comes from that lets us in at a mailbox or a relay."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

MICROSOFT = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/"
OUTLOOK = "https://outlook.office365.com/"
PROVIDERS = {  # provider: (token, device authorization, scope of an application, scope of a person)
    "microsoft": (
        MICROSOFT + "token",
        MICROSOFT + "devicecode",
        OUTLOOK + ".default",
        f"{OUTLOOK}IMAP.AccessAsUser.All {OUTLOOK}SMTP.Send offline_access",
    ),
    "google": ("https://oauth2.googleapis.com/token", "https://oauth2.googleapis.com/device/code", "", "https://mail.google.com/"),
    "other": ("", "", "", ""),
}


class OauthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[oauth]]`: a client of an issuer of tokens. Mailboxes and the relay name it by `oauth`."""

    name: Annotated[str, Meta(description="Name; unique and never changed: a-z, 0-9, - and _.", pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]
    provider: Annotated[Literal["microsoft", "google", "other"], Meta(description="Whose addresses and scopes are the defaults.")] = "other"
    tenant: Annotated[str, Meta(description="Directory (tenant) of Microsoft: its id or domain.", pattern="^[A-Za-z0-9.-]+$")] = "common"
    client_id: Annotated[str, Meta(description="Id of the client, as the issuer gave it.", min_length=1)]
    client_secret_file: Annotated[str, Meta(description="File with the client's secret; needed for client_credentials.")] = ""
    grant: Annotated[
        Literal["client_credentials", "refresh_token", "device_code"],
        Meta(description="client_credentials: as an application; refresh_token: from a file; device_code: by `triaged oauth login`."),
    ] = "client_credentials"
    refresh_token_file: Annotated[str, Meta(description="File with the first refresh token; later ones are kept in the store.")] = ""
    token_url: Annotated[str, Meta(description="Token endpoint; empty: the provider's.")] = ""
    device_url: Annotated[str, Meta(description="Device authorization endpoint; empty: the provider's.")] = ""
    scope: Annotated[str, Meta(description="Scopes, with blanks between; empty: the provider's for this grant.")] = ""
    ca_file: Annotated[str, Meta(description="File with the certificates to trust instead of the system's.")] = ""

    @property
    def token_endpoint(self) -> str:
        """Where tokens are asked for."""
        return self.token_url or PROVIDERS[self.provider][0].format(tenant=self.tenant)

    @property
    def device_endpoint(self) -> str:
        """Where a login on another device begins."""
        return self.device_url or PROVIDERS[self.provider][1].format(tenant=self.tenant)

    @property
    def scopes(self) -> str:
        """What is asked for."""
        return self.scope or PROVIDERS[self.provider][2 if self.grant == "client_credentials" else 3]


class OauthRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why an `[[oauth]]` cannot be used: key, message, what to do."""

    key: str
    message: str
    hint: str


def refusals_of(settings: OauthSettings) -> Iterator[OauthRefusal]:
    """What it lacks for its grant, and an issuer that would be asked in the clear."""
    if settings.grant == "client_credentials" and not settings.client_secret_file:
        yield OauthRefusal(key="client_secret_file", message="client_credentials needs a secret", hint="set client_secret_file")
    if settings.grant == "refresh_token" and not settings.refresh_token_file:
        yield OauthRefusal(key="refresh_token_file", message="the first refresh token is missing", hint="set refresh_token_file")
    endpoints = [("token_url", settings.token_endpoint)]
    endpoints += [("device_url", settings.device_endpoint)] if settings.grant == "device_code" else []
    for key, url in endpoints:
        if not url:
            yield OauthRefusal(key=key, message="the issuer's address is missing", hint=f"set {key}, or a provider")
        elif not _safe(url):
            yield OauthRefusal(key=key, message=f"{url} would send secrets in the clear", hint="write an address with https")


def _safe(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        return parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.scheme == "http" and parts.hostname == "localhost"
