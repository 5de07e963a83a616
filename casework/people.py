"""`import_people`: people and organisations from a file, compared and written in one transaction, or only compared (design 4)."""

from collections.abc import Iterator

from itsm.act import Absent, ActorKind, ImportPeople
from itsm.errors import MalformedInput, Refused
from itsm.permission import refusal
from itsm.person import Person
from rules.directory_import import Change, compare_absent, compare_organisations, compare_people, read_file
from store import people
from store.transaction import Tx

ALLOWED = frozenset({ActorKind.OPERATOR})


def import_people(tx: Tx, act: ImportPeople, time_zones: frozenset[str]) -> tuple[Change, ...]:
    """Do the act, or with `preview` only tell what it would do; raises MalformedInput with the lines, or Refused.

    Runs inside the caller's transaction; a preview writes nothing and may run in a read.
    """
    denied = refusal(act.actor)
    if denied or act.actor.kind not in ALLOWED:
        raise Refused(denied or f"{act.actor.kind.value} may not import people")
    wanted = read_file(act.text, time_zones)
    if isinstance(wanted, tuple):
        raise MalformedInput("nothing was imported: " + "; ".join(f"line {each.line}: {each.message}" for each in wanted), status=422)
    if act.absent is Absent.DETACH and not any(each.organisation for each in wanted.people):
        raise MalformedInput(
            "nothing was imported: only people of the organisations that a file of people names are absent from it, and it names none",
            status=422,
        )
    actor = f"{act.actor.kind.value}:{act.actor.name}"
    organisations = people.organisations(tx)
    if wanted.organisations:
        changes = compare_organisations(wanted, organisations)
        if not act.preview:
            rows = [(each.kind, each.organisation, each.fields) for each in changes if each.organisation is not None]
            people.write_organisations(tx, rows, actor)
        return changes
    unknown = sorted({each.organisation for each in wanted.people if each.organisation} - organisations.keys())
    if unknown:
        raise MalformedInput(f"there is no organisation {unknown[0]!r}: import the organisations first (key, name, domains)", status=422)
    found = people.by_addresses(tx, (address for each in wanted.people for address in each.addresses))
    known = people.by_ids(tx, {each.id for each in found.values() if each.id})
    changes = compare_people(wanted, known.values())
    if act.absent is Absent.DETACH:
        changes += compare_absent(wanted, _everybody(tx))
    if not act.preview:
        people.write_people(tx, [(each.kind, each.person, each.gone, each.fields) for each in changes if each.person is not None], actor)
    return changes


def _everybody(tx: Tx) -> Iterator[Person]:
    """Everybody known, page by page."""
    after = ""
    while page := people.listed(tx, after=after, limit=people.MAX_LISTED):
        yield from page
        after = page[-1].address
