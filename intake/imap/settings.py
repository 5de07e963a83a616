"""`[[intake.mailbox]]`: a mailbox that mail is fetched from."""

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from intake.refusal import Refusal

Words = tuple[str, ...]
PORTS = {"implicit": 993, "starttls": 143, "none": 143}


class Mailbox(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[intake.mailbox]]`: mail by IMAP. Mail that is there at the first connect makes no tickets and is never answered."""

    name: Annotated[
        str,
        Meta(description="Name in logs and metrics; unique and never changed: a-z, 0-9, - and _.", pattern="^[a-z0-9][a-z0-9_-]{0,62}$"),
    ]
    host: Annotated[str, Meta(description="Name of the server; its certificate must be valid for it.", min_length=1)]
    port: Annotated[int, Meta(description="Port; 0: 993 for implicit TLS, else 143.", ge=0, le=65535)] = 0
    tls: Annotated[
        Literal["implicit", "starttls", "none"], Meta(description="none is taken for a server on this machine only. TLS never falls back.")
    ] = "implicit"
    ca_file: Annotated[str, Meta(description="File with the certificates to trust instead of the system's.")] = ""
    login: Annotated[str, Meta(description="Login name.", min_length=1)]
    password_file: Annotated[str, Meta(description="File with the password.")] = ""
    oauth: Annotated[str, Meta(description="Instead of a password: name of the `[[oauth]]` that gives the token.")] = ""
    oauth_mechanism: Annotated[Literal["xoauth2", "oauthbearer"], Meta(description="How the token is shown (RFC 7628 or XOAUTH2).")] = (
        "xoauth2"
    )
    address: Annotated[
        str, Meta(description="Address the mailbox answers for, of a team or of the desk; empty: the login, when it is an address.")
    ] = ""
    folders: Annotated[Words, Meta(description="Folders to fetch; the first is the one that is watched by IDLE.", min_length=1)] = (
        "INBOX",
    )
    poll_seconds: Annotated[float, Meta(description="Look at least this often, also while IDLE watches, in seconds.", gt=0, le=1500)] = 60.0
    idle: Annotated[bool, Meta(description="Let the server tell of new mail (IDLE, RFC 2177) where it can.")] = True
    after: Annotated[
        Literal["none", "flag", "move"],
        Meta(description="What is done to a mail on the server once it is stored: nothing, flag, or move it."),
    ] = "none"
    flag: Annotated[
        str, Meta(description='The flag for after = "flag": a system flag or a keyword.', pattern=r"^\\?[A-Za-z$][A-Za-z0-9_$-]*$")
    ] = "\\Seen"
    move_to: Annotated[str, Meta(description='The folder for after = "move"; it must be there.')] = ""
    import_since: Annotated[
        str,
        Meta(
            description="At the first connect, take mail since this day (YYYY-MM-DD) as new; empty: none.",
            pattern=r"^(\d{4}-\d{2}-\d{2})?$",
        ),
    ] = ""
    message_limit_bytes: Annotated[int, Meta(description="Largest mail, in bytes; larger ones are passed and shown.", ge=1024)] = 26_214_400
    connect_timeout_seconds: Annotated[float, Meta(description="Wait for connection, greeting, TLS and login, each, in seconds.", gt=0)] = (
        30.0
    )
    command_timeout_seconds: Annotated[float, Meta(description="Wait for the answer to a command, in seconds.", gt=0)] = 60.0
    fetch_timeout_seconds: Annotated[float, Meta(description="Wait for one MiB of a mail, in seconds.", gt=0)] = 120.0
    pass_limit_seconds: Annotated[
        float, Meta(description="One look at all folders ends after this, whatever the server does, in seconds.", gt=0)
    ] = 3600.0

    @property
    def server_port(self) -> int:
        """The port, by TLS when none is set."""
        return self.port or PORTS[self.tls]

    @property
    def answers_for(self) -> str:
        """The address mail of this mailbox is taken for, "" when neither address nor login is one."""
        return self.address or (self.login if "@" in self.login else "")

    @property
    def imports_since(self) -> datetime | None:
        """The begin of the day from which old mail is new."""
        return datetime.fromisoformat(self.import_since).replace(tzinfo=UTC) if self.import_since else None

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, by its name or address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower().rstrip(".") == "localhost"


def mailbox_refusals(mailboxes: tuple[Mailbox, ...]) -> Iterator[Refusal]:
    """What no mailbox may be: without TLS across a network, without a credential, or twice."""
    seen: set[str] = set()
    for index, mailbox in enumerate(mailboxes):
        path = f"intake.mailbox.{index}"
        if mailbox.name in seen:
            yield Refusal(path=f"{path}.name", message=f"two mailboxes are named {mailbox.name!r}", hint="rename one")
        seen.add(mailbox.name)
        yield from _one(path, mailbox)


def _one(path: str, mailbox: Mailbox) -> Iterator[Refusal]:
    if mailbox.tls == "none" and not mailbox.is_loopback:
        message = f"mailbox {mailbox.name!r} would send its password and mail in the clear"
        yield Refusal(path=f"{path}.tls", message=message, hint='set tls = "implicit" or "starttls"')
    if bool(mailbox.password_file) == bool(mailbox.oauth):
        message = f"mailbox {mailbox.name!r} needs one credential"
        yield Refusal(path=f"{path}.password_file", message=message, hint="set password_file, or oauth, and not both")
    if mailbox.after == "move" and not mailbox.move_to:
        yield Refusal(path=f"{path}.move_to", message='after = "move" needs a folder', hint="set move_to")
    if mailbox.after == "move" and mailbox.move_to in mailbox.folders:
        yield Refusal(path=f"{path}.move_to", message=f"{mailbox.move_to!r} is one of the folders that are fetched", hint="name another")
    if len(set(mailbox.folders)) != len(mailbox.folders) or not all(mailbox.folders):
        yield Refusal(path=f"{path}.folders", message="a folder is named twice, or has no name", hint="name each folder once")
    try:
        mailbox.imports_since  # noqa: B018 -- it is the conversion that is tried
    except ValueError as error:
        yield Refusal(path=f"{path}.import_since", message=f"{mailbox.import_since} is no day: {error}", hint="write YYYY-MM-DD")
