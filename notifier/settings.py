"""The `[notifier]` table: how mail leaves."""

import ipaddress
from datetime import timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

LEASE_MARGIN = timedelta(seconds=60)


class RelaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[notifier.relay]`: the SMTP relay that takes our mail."""

    host: Annotated[str, Meta(description="Name of the relay; its certificate must be valid for it.", min_length=1)]
    port: Annotated[int, Meta(description="Port of the relay.", ge=1, le=65535)] = 587
    tls: Annotated[
        Literal["auto", "starttls", "implicit", "none"],
        Meta(description="auto is none for a relay on this machine and starttls for any other. TLS never falls back."),
    ] = "auto"
    ca_file: Annotated[str, Meta(description="File with the certificates to trust instead of the system's.")] = ""
    login: Annotated[str, Meta(description="Login for AUTH; empty: none. Never sent without TLS.")] = ""
    password_file: Annotated[str, Meta(description="File with the password of the login.")] = ""
    oauth: Annotated[str, Meta(description="Instead of a password: name of the `[[oauth]]` that gives the token (XOAUTH2).")] = ""
    connect_timeout_seconds: Annotated[float, Meta(description="Wait for the connection, in seconds.", gt=0)] = 30.0
    timeout_seconds: Annotated[float, Meta(description="Wait for each answer but the last, in seconds (RFC 5321 4.5.3.2: 300).", gt=0)] = (
        300.0
    )
    data_timeout_seconds: Annotated[
        float, Meta(description="Wait for the answer to the final dot, in seconds (RFC 5321 4.5.3.2.6: 600).", gt=0)
    ] = 600.0
    connections: Annotated[int, Meta(description="Connections at the same time.", ge=1, le=32)] = 4

    @property
    def is_loopback(self) -> bool:
        """Whether the relay is on this machine, by its name or address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower().rstrip(".") == "localhost"

    @property
    def encryption(self) -> Literal["starttls", "implicit", "none"]:
        """What `tls` comes to for this host."""
        if self.tls == "auto":
            return "none" if self.is_loopback else "starttls"
        return self.tls

    @property
    def lease(self) -> timedelta:
        """How long a mail that is being sent is left alone: longer than every wait of its way, so that nobody sends it twice."""
        waits = 4 * self.timeout_seconds + self.data_timeout_seconds  # MAIL, RCPT, DATA and the content; then the final dot
        return timedelta(seconds=waits) + LEASE_MARGIN


class NotifierSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[notifier]`: without a relay each mail becomes a file in a folder."""

    folder: Annotated[str, Meta(description="Folder for .eml files while no relay is set; empty: `outbox` in the data directory.")] = ""
    relay: Annotated[RelaySettings | None, Meta(description="The relay, `[notifier.relay]`.")] = None
    templates: Annotated[
        str,
        Meta(description="Folder with texts of your own, and folders in it such as de for languages; for those it lacks ours are used."),
    ] = ""
    give_up_after_days: Annotated[int, Meta(description="Retries end after this many days (RFC 5321 4.5.4.1: 4 to 5).", ge=1)] = 5
    stale_acknowledgement_hours: Annotated[
        int, Meta(description="An acknowledgement that waited longer than this is not sent any more, in hours.", ge=1)
    ] = 24
    batch: Annotated[int, Meta(description="Mails in memory at once.", ge=1, le=500)] = 50
    drain_seconds: Annotated[float, Meta(description="How long the end of the program waits for a mail that is being sent.", ge=0)] = 5.0

    @property
    def lease(self) -> timedelta:
        """How long a mail that is being sent is left alone; a file is written in no time."""
        return self.relay.lease if self.relay else LEASE_MARGIN
