"""From bytes to signals: the registry of formats, one pure total function (design 4)."""

import hashlib
from collections.abc import Callable

from intake.adapters import alertmanager, alertmanager_v2, generic
from intake.context import ParseContext
from intake.mail.parse import parse_mail
from itsm.envelope import MAIL_FORMAT
from itsm.signal import Malformed, MonitoringEvent, Parsed

Adapter = Callable[[bytes, ParseContext], tuple[MonitoringEvent | Malformed, ...]]

ADAPTERS: dict[str, Adapter] = {"alertmanager": alertmanager.parse, "alertmanager_v2": alertmanager_v2.parse, "generic": generic.parse}
Deliveries = Callable[[bytes], tuple[bytes, ...] | None]
DELIVERIES: dict[str, Deliveries] = {"alertmanager": alertmanager.deliveries, "alertmanager_v2": alertmanager_v2.deliveries}
PLAIN: dict[str, Callable[[bytes], int | None]] = {"alertmanager": alertmanager.plain, "alertmanager_v2": alertmanager_v2.plain}
RETRY_STATUS: dict[str, int] = {
    "alertmanager": alertmanager.RETRY_STATUS,
    "alertmanager_v2": alertmanager_v2.RETRY_STATUS,
    "generic": generic.RETRY_STATUS,
}
FORMATS = (MAIL_FORMAT, *ADAPTERS)


def parse(format_: str, raw: bytes, context: ParseContext) -> tuple[Parsed, ...]:
    """The parts of an envelope's bytes, at least one; what is broken is a Malformed, never an exception."""
    if format_ == MAIL_FORMAT:
        return (parse_mail(raw, return_path=context.return_path),)
    adapter = ADAPTERS.get(format_)
    if adapter is None:
        return (Malformed(reason=f"there is no format {format_!r}; known: {', '.join(FORMATS)}"),)
    return adapter(raw, context)


def deliveries(format_: str, source: str, raw: bytes) -> tuple[bytes, ...]:
    """What names each part of a body for the state cache, 16 octets: equal octets of one source parse alike. Empty where parts have no name."""
    split = DELIVERIES.get(format_)
    found = split(raw) if split else None
    if found is None:
        return ()
    whose = f"{format_}\0{source}\0".encode()
    return tuple(hashlib.blake2b(whose + each, digest_size=16).digest() for each in found)


def digest_of(format_: str, source: str, raw: bytes) -> bytes:
    """The hash that names a whole body of a source: equal ones parse alike."""
    hashed = hashlib.sha256(f"{format_}\0{source}\0".encode())
    hashed.update(raw)
    return hashed.digest()


def plain(format_: str, raw: bytes) -> int | None:
    """How many parts `parse` finds where a quick look tells that none is broken; None where `parse` must look."""
    look = PLAIN.get(format_)
    return look(raw) if look else None
