"""Keys of DKIM signatures from DNS, for a batch of mails at once, under one deadline (dnspython, extra `mailauth`)."""

import asyncio
from collections.abc import Iterable

from prometheus_client import Counter

from intake.settings import SmtpSettings, nameserver
from itsm.errors import Permanent

try:
    import dns.asyncresolver
    import dns.exception
    import dns.nameserver
    import dns.resolver
except ImportError:  # the extra is not installed
    RESOLVER = None
else:
    RESOLVER = dns.asyncresolver.Resolver

# result: found, none, failed
LOOKUPS = Counter("triaged_intake_dkim_lookups_total", "Look-ups of keys of DKIM signatures.", ["result"])
MAX_NAMES = 200  # a batch
AT_ONCE = 32
CACHED = 1_000
MAX_RECORD_BYTES = 8_192


class SigningKeys:
    """Looks keys up; answers are remembered as long as DNS says, a thousand of them."""

    def __init__(self, *, timeout_seconds: float, nameservers: tuple[str, ...] = ()) -> None:
        """`nameservers` are `address` or `address:port`; without any those of this machine. Raises Permanent without the extra."""
        if RESOLVER is None:
            raise Permanent("DKIM needs the extra mailauth: pip install 'triaged[mailauth]'")
        self._timeout_seconds = timeout_seconds
        self._resolver = RESOLVER(configure=not nameservers)
        self._resolver.cache = dns.resolver.LRUCache(CACHED)
        if nameservers:
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(*nameserver(each)) for each in nameservers]

    async def find(self, names: Iterable[str]) -> dict[str, bytes]:
        """The records of at most 200 names; those that are not there, or do not come in time, are missing."""
        wanted = list(dict.fromkeys(names))[:MAX_NAMES]
        found: dict[str, bytes] = {}
        room = asyncio.Semaphore(AT_ONCE)
        asked = [asyncio.create_task(self._ask(name, found, room)) for name in wanted]
        if not asked:
            return found
        _done, late = await asyncio.wait(asked, timeout=self._timeout_seconds)
        for each in late:
            each.cancel()
        LOOKUPS.labels("failed").inc(len(late))
        await asyncio.gather(*late, return_exceptions=True)
        return found

    async def _ask(self, name: str, found: dict[str, bytes], room: asyncio.Semaphore) -> None:
        async with room:
            try:
                answer = await self._resolver.resolve(name, "TXT", lifetime=self._timeout_seconds, search=False)
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                LOOKUPS.labels("none").inc()
                return
            except (dns.exception.DNSException, OSError):
                LOOKUPS.labels("failed").inc()
                return
        records = [b"".join(each.strings) for each in answer]
        if len(records) == 1 and len(records[0]) <= MAX_RECORD_BYTES:  # of several none is the key (RFC 6376 3.6.2.2)
            found[name] = records[0]
            LOOKUPS.labels("found").inc()
        else:
            LOOKUPS.labels("none").inc()


def signing_keys_of(settings: SmtpSettings) -> SigningKeys | None:
    """The look-up as it is configured; None where DKIM is not verified."""
    if not settings.dkim:
        return None
    return SigningKeys(timeout_seconds=settings.dkim_timeout_seconds, nameservers=settings.dkim_nameservers)
