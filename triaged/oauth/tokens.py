"""The sources of tokens in force, by name; a reload replaces them under those who hold a bearer."""

import asyncio
import contextlib
from collections.abc import Sequence

from itsm.credential import Bearer
from itsm.errors import Transient
from store.store import Store
from triaged.oauth.settings import OauthSettings
from triaged.oauth.source import EXPIRY, TokenSource


class Tokens:
    """Holds a source for each `[[oauth]]`."""

    def __init__(self, store: Store, wanted: Sequence[OauthSettings] = ()) -> None:
        """Nothing is asked yet."""
        self._store = store
        self._sources: dict[str, TokenSource] = {}
        self.replace(wanted)

    def replace(self, wanted: Sequence[OauthSettings]) -> frozenset[str]:
        """Hold these from now on; returns the names whose settings are other ones than before, gone ones with them."""
        before = self._sources
        kept = {each.name: before[each.name] for each in wanted if each.name in before and before[each.name].settings == each}
        self._sources = {each.name: kept.get(each.name) or TokenSource(each, self._store) for each in wanted}
        for name in before.keys() - self._sources.keys():
            with contextlib.suppress(KeyError):  # it never had a token
                EXPIRY.remove(name)
        return frozenset((before.keys() | self._sources.keys()) - kept.keys())

    def bearer(self, name: str) -> Bearer | None:
        """Asks the source of that name which is in force then; None without a name."""
        return _Named(self, name) if name else None

    def source(self, name: str) -> TokenSource:
        """The source in force; raises Transient when a reload took it away."""
        found = self._sources.get(name)
        if found is None:
            raise Transient(f"there is no [[oauth]] named {name!r} any more")
        return found

    async def refresh_early(self) -> None:
        """Each in a thread: an issuer that does not answer holds nobody else up."""
        await asyncio.gather(*(asyncio.to_thread(each.refresh_early) for each in self._sources.values()))


class _Named:
    """A bearer that outlives its source."""

    def __init__(self, tokens: Tokens, name: str) -> None:
        self._tokens, self._name = tokens, name

    def token(self) -> str:
        return self._tokens.source(self._name).token()

    def refused(self, token: str) -> None:
        self._tokens.source(self._name).refused(token)
