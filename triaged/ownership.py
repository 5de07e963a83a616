"""Our packages have generic names (ADR-0001), so another distribution may own one: then triaged refuses to start."""

from collections.abc import Iterable, Mapping
from importlib import metadata

PACKAGES = ("triaged", "webportal", "intake", "notifier", "casework", "store", "rules", "itsm")
DISTRIBUTION = "triaged"


def strangers(owners: Mapping[str, Iterable[str]] | None = None) -> dict[str, str]:
    """Our package names that an installed distribution other than ours owns, with its name."""
    known = metadata.packages_distributions() if owners is None else owners
    found: dict[str, str] = {}
    for package in PACKAGES:
        others = sorted({name for name in known.get(package, ()) if name.lower() != DISTRIBUTION})
        if others:
            found[package] = others[0]
    return found
