"""What a process does: every role in one, or a role each in processes of their own on one PostgreSQL (design 5)."""

from collections.abc import Iterable

from itsm.errors import Permanent

DOORS, TRIAGE, NOTIFY, TIMERS, ALL = "doors", "triage", "notify", "timers", "all"
ROLES = (DOORS, TRIAGE, NOTIFY, TIMERS)
EVERY = frozenset(ROLES)


def roles_of(words: Iterable[str], *, shared: bool) -> frozenset[str]:
    """The roles that were asked for, separated by commas or given apart; none is all.

    Raises Permanent for a role there is not, and for less than all of them where no other process could do the rest.
    """
    named = {word.strip() for each in words for word in each.split(",") if word.strip()}
    if unknown := sorted(named - EVERY - {ALL}):
        raise Permanent(f"there is no role {unknown[0]!r}; there are {', '.join((*ROLES, ALL))}")
    found = EVERY if not named or ALL in named else frozenset(named)
    if found != EVERY and not shared:
        raise Permanent(
            "on SQLite one process does everything, for it holds the lock of the data directory: "
            "leave --role out, or set [store.postgres] to share the work"
        )
    return found
