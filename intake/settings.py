"""The `[intake]` tables: the doors, their limits, and the alert sources."""

import ipaddress
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from intake.context import ALERT_FORMATS, GenericMapping
from intake.imap.settings import Mailbox, mailbox_refusals
from intake.mail.signature import is_installed
from intake.refusal import Refusal
from itsm.address import domain_of

Words = tuple[str, ...]
AtLeastOne = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]


class SmtpLogin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[intake.smtp.login]]`: who may authenticate, and with which From addresses."""

    name: Annotated[str, Meta(description="Login name.", min_length=1)]
    password_file: Annotated[str, Meta(description="File with the password.", min_length=1)]
    senders: Annotated[
        Words, Meta(description="From addresses that mail submitted with this login may carry; it is then trusted (level 1).")
    ] = ()


class SmtpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[intake.smtp]`: mail by SMTP."""

    enabled: Annotated[bool, Meta(description="false closes this door.")] = True
    listen: Annotated[str, Meta(description="Address and port.")] = "127.0.0.1:2525"
    hostname: Annotated[str, Meta(description="Name in the greeting; empty: the desk's domain.")] = ""
    recipients: Annotated[Words, Meta(description="Addresses taken besides the desk's and the teams'.")] = ()
    domains: Annotated[Words, Meta(description="Domains of which every address is taken.")] = ("localhost",)
    message_limit_bytes: Annotated[int, Meta(description="Largest mail, in bytes.", ge=1024)] = 26_214_400
    recipient_limit: Annotated[int, Meta(description="Recipients of one mail (RFC 5321 4.5.3.1.8: at least 100).", ge=1)] = 100
    connection_limit: Annotated[int, Meta(description="Connections at the same time.", ge=1)] = 500
    connection_limit_per_address: Annotated[int, Meta(description="Connections of one client address.", ge=1)] = 50
    command_timeout_seconds: Annotated[float, Meta(description="Wait for a command, in seconds (RFC 5321 4.5.3.2.7: 300).", gt=0)] = 300.0
    session_limit_seconds: Annotated[float, Meta(description="A session ends after this, whatever the client does, in seconds.", gt=0)] = (
        3600.0
    )
    minimum_rate_bytes: Annotated[int, Meta(description="Bytes a second a client must send during DATA.", ge=1)] = 512
    error_limit: Annotated[int, Meta(description="Refused commands after which the session ends.", ge=1)] = 20
    command_limit: Annotated[int, Meta(description="How often one command may be given in a session.", ge=10)] = 10_000
    normalise_newlines_from: Annotated[
        Words, Meta(description="Client networks whose bare CR or LF is mended instead of refused, as 10.0.0.0/8.")
    ] = ()
    trusted_networks: Annotated[
        Words, Meta(description="Client networks that hand over mail with Authentication-Results of a listed host, as 10.0.0.1/32.")
    ] = ()
    dkim: Annotated[
        bool,
        Meta(
            description="Verify DKIM signatures of mail that nobody listed hands over; a valid one of the From domain is level 1. Extra mailauth."
        ),
    ] = False
    dkim_timeout_seconds: Annotated[
        float, Meta(description="The keys of a batch of mails must come from DNS in this time, in seconds.", gt=0, le=30)
    ] = 3.0
    dkim_nameservers: Annotated[
        Words, Meta(description="Nameservers to ask for the keys, as 192.0.2.53 or 192.0.2.53:5353; empty: those of this machine.")
    ] = ()
    tls_certificate_file: Annotated[str, Meta(description="Certificate chain (PEM) for STARTTLS; empty: not offered.")] = ""
    tls_key_file: Annotated[str, Meta(description="Key of the certificate (PEM).")] = ""
    login: Annotated[tuple[SmtpLogin, ...], Meta(description="Logins, `[[intake.smtp.login]]`.")] = ()


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[intake.http]`: webhooks and the API."""

    enabled: Annotated[bool, Meta(description="false closes this door.")] = True
    listen: Annotated[str, Meta(description="Address and port.")] = "127.0.0.1:8025"
    hosts: Annotated[
        Words, Meta(description="Values of the Host header that are answered; a loopback listener always answers its own names.")
    ] = ()
    body_limit_bytes: Annotated[int, Meta(description="Largest webhook body, in bytes.", ge=1024)] = 10_485_760
    message_limit_bytes: Annotated[int, Meta(description="Largest mail by the API, in bytes.", ge=1024)] = 26_214_400
    requests_at_once: Annotated[int, Meta(description="Requests that may carry a body at the same time.", ge=1)] = 200
    body_timeout_seconds: Annotated[float, Meta(description="Wait for a whole body, in seconds.", gt=0)] = 30.0


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[intake.source]]`: a monitoring system, at `POST /hooks/<name>`."""

    name: Annotated[
        str, Meta(description="Name in the address and on the tickets: a-z, 0-9, - and _.", pattern="^[a-z0-9][a-z0-9_-]{0,62}$")
    ]
    format: Annotated[str, Meta(description="alertmanager, alertmanager_v2 or generic.")] = "generic"
    authentication: Annotated[
        Literal["token", "hmac", "none"],
        Meta(description="token: a bearer token; hmac: HMAC-SHA256 of the body; none: only on loopback, or if you mean it."),
    ] = "token"
    token_file: Annotated[str, Meta(description="File with the bearer token.")] = ""
    hmac_file: Annotated[str, Meta(description="File with the secret of the HMAC.")] = ""
    hmac_header: Annotated[str, Meta(description="Header with the hex HMAC-SHA256 of the body, perhaps after `sha256=`.")] = (
        "X-Hub-Signature-256"
    )
    delivery_header: Annotated[str, Meta(description="Header with the vendor's delivery id: a repeat is answered, not stored.")] = ""
    expire_after_seconds: Annotated[
        AtLeastOne | None, Meta(description="An alert that is not sent again for so long is over, in seconds.")
    ] = None
    gap_seconds: Annotated[NotNegative | None, Meta(description="Overrides `[rules] gap_seconds` for this source.")] = None
    team: Annotated[str, Meta(description="Team of its incidents, by key.")] = ""
    service: Annotated[str, Meta(description="Service of its incidents, by key.")] = ""
    mapping: Annotated[GenericMapping | None, Meta(description="How a generic payload is read, `[intake.source.mapping]`.")] = None


class IntakeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[intake]`: what comes in."""

    pending_limit: Annotated[int, Meta(description="Envelopes that may wait for triage; more are answered 452 or 503.", ge=100)] = 200_000
    parsers: Annotated[int, Meta(description="Child processes that parse and render.", ge=1, le=32)] = 1
    parse_timeout_seconds: Annotated[
        float, Meta(description="A batch may take so long in a child before it is killed, in seconds.", gt=0)
    ] = 30.0
    trusted_authserv_ids: Annotated[
        Words,
        Meta(
            description='Authserv-ids whose Authentication-Results are believed (RFC 8601); "-" for mailboxes of a provider that names none.'
        ),
    ] = ()
    smtp: Annotated[SmtpSettings, Meta(description="The SMTP door, `[intake.smtp]`.")] = SmtpSettings()
    http: Annotated[HttpSettings, Meta(description="The HTTP door, `[intake.http]`.")] = HttpSettings()
    mailbox: Annotated[tuple[Mailbox, ...], Meta(description="Mailboxes to fetch from, `[[intake.mailbox]]`.")] = ()
    source: Annotated[
        tuple[Source, ...], Meta(description="Alert sources, `[[intake.source]]`; without any: alertmanager and generic, on loopback.")
    ] = ()


DNS_PORT = 53
DEFAULT_SOURCES = (
    Source(name="alertmanager", format="alertmanager", authentication="none"),
    Source(name="generic", format="generic", authentication="none"),
)


def sources_of(settings: IntakeSettings) -> tuple[Source, ...]:
    """The configured sources, or the two of zero configuration."""
    return settings.source or DEFAULT_SOURCES


def host_and_port(listen: str) -> tuple[str, int]:
    """The two parts of `127.0.0.1:2525` or `[::1]:2525`; raises ValueError with what is wrong."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{listen!r} is not an address and port like 127.0.0.1:2525")
    return host.strip("[]"), int(port)


def on_loopback(listen: str) -> bool:
    """Whether only this machine can reach the listener."""
    host = host_and_port(listen)[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refusals(settings: IntakeSettings, *, own_addresses: Iterable[str] = ()) -> list[Refusal]:
    """What design 7 refuses: a door open to others without recipients, or a source without credential.

    `own_addresses` are those of the desk and its teams; what is at localhost does not count, for nobody outside can write to it.
    """
    found: list[Refusal] = list(mailbox_refusals(settings.mailbox))
    for path, listen in (("intake.smtp.listen", settings.smtp.listen), ("intake.http.listen", settings.http.listen)):
        try:
            host_and_port(listen)
        except ValueError as error:
            found.append(Refusal(path=path, message=str(error), hint="write host:port"))
    if found:
        return found
    smtp = settings.smtp
    reached = {*smtp.domains, *(domain_of(each) for each in (*smtp.recipients, *own_addresses))} - {"localhost"}
    if smtp.enabled and not on_loopback(smtp.listen) and not reached:
        hint = "set addresses of a team, or recipients or domains in [intake.smtp]"
        found.append(Refusal(path="intake.smtp.listen", message="SMTP listens beyond loopback and takes mail for nobody", hint=hint))
    found += _dkim_refusals(smtp)
    for index, source in enumerate(settings.source):
        found += _source_refusals(f"intake.source.{index}", source, on_loopback(settings.http.listen))
    names = [source.name for source in settings.source]
    for index, name in enumerate(names):
        if name in names[:index]:
            found.append(Refusal(path=f"intake.source.{index}.name", message=f"two sources are named {name!r}", hint="rename one"))
    return found


def _dkim_refusals(smtp: SmtpSettings) -> list[Refusal]:
    found: list[Refusal] = []
    if smtp.dkim and not is_installed():
        hint = "pip install 'triaged[mailauth]', or dkim = false"
        found.append(Refusal(path="intake.smtp.dkim", message="DKIM needs the extra mailauth, which is not installed", hint=hint))
    for index, written in enumerate(smtp.dkim_nameservers):
        try:
            nameserver(written)
        except ValueError:
            path, hint = f"intake.smtp.dkim_nameservers.{index}", "write an address, as 192.0.2.53 or 192.0.2.53:5353"
            found.append(Refusal(path=path, message=f"{written!r} is no address of a nameserver", hint=hint))
    return found


def nameserver(written: str) -> tuple[str, int]:
    """Address and port of `192.0.2.53`, `192.0.2.53:5353` or `[2001:db8::53]:5353`; raises ValueError."""
    try:
        return str(ipaddress.ip_address(written)), DNS_PORT
    except ValueError:
        host, port = host_and_port(written)
        return str(ipaddress.ip_address(host)), port


def _source_refusals(path: str, source: Source, loopback: bool) -> list[Refusal]:
    found: list[Refusal] = []
    if source.format not in ALERT_FORMATS:
        found.append(
            Refusal(path=f"{path}.format", message=f"there is no format {source.format!r}", hint=f"one of {', '.join(ALERT_FORMATS)}")
        )
    needed = {"token": source.token_file, "hmac": source.hmac_file, "none": "none"}[source.authentication]
    if not needed and not (loopback and source.authentication == "token"):
        hint = f'set {source.authentication}_file, or authentication = "none" if everybody may post'
        found.append(Refusal(path=f"{path}.authentication", message=f"source {source.name!r} has no credential", hint=hint))
    if source.mapping is not None and source.format != "generic":
        found.append(Refusal(path=f"{path}.mapping", message="only a generic source has a mapping", hint='set format = "generic"'))
    return found
