"""What casework needs besides the parts: the rules, the desk, the keys. Values only, replaced whole on reload."""

import msgspec

from itsm.service import Desk
from rules.authentication import TrustSettings
from rules.monitoring import EventPolicy
from rules.ruleset import Ruleset


class Casework(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `handle` and `perform` judge by. `keys` are (key id, secret), the one to mint with first."""

    ruleset: Ruleset
    desk: Desk
    keys: tuple[tuple[int, bytes], ...]
    trust: TrustSettings = TrustSettings()
    sources: dict[str, EventPolicy] = {}

    def policy(self, source: str) -> EventPolicy:
        """The policy of a source; one that is not configured has the defaults."""
        return self.sources.get(source) or EventPolicy(gap_seconds=self.ruleset.settings.gap_seconds)
