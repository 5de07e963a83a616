"""People and organisations out of a CSV file: read strictly, compared with what is known, shown before anything is written."""

import csv
import re
from collections.abc import Iterable, Mapping

import msgspec

from itsm.address import canonical, is_mailbox
from itsm.language import is_language_tag
from itsm.person import Organisation, Person

MAX_ROWS = 100_000
MAX_FILE_BYTES = 50 * 1024 * 1024
MAX_FIELD_CHARACTERS = 500
MAX_ADDRESSES = 20  # of a person
MAX_MISTAKES = 50  # told at once
PEOPLE_COLUMNS = ("address", "name", "aliases", "organisation", "vip", "language", "time_zone")
ORGANISATION_COLUMNS = ("key", "name", "domains")
_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_DOMAIN = re.compile(r"[a-z0-9\u00a1-\uffff](?:[a-z0-9.\u00a1-\uffff-]{0,251}[a-z0-9\u00a1-\uffff])?")
_YES, _NO = frozenset({"yes", "true", "1"}), frozenset({"", "no", "false", "0"})


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong in a line; the header is line 1."""

    line: int
    message: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a file asks for: people or organisations, in its order; `columns` are those it has, others are left as they are."""

    people: tuple[Person, ...] = ()
    organisations: tuple[Organisation, ...] = ()
    columns: frozenset[str] = frozenset()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change: what it is of, and which fields become what; `added`, `changed`, `joined` (several are one) or `detached` (absent).

    `person` or `organisation` is the row as it shall be; `gone` are the ids of people who are part of it from now on.
    """

    kind: str
    of: str
    fields: dict[str, str] = {}
    person: Person | None = None
    organisation: Organisation | None = None
    gone: tuple[int, ...] = ()


def read_file(text: str, time_zones: frozenset[str]) -> Wanted | tuple[Mistake, ...]:
    """Read a CSV file with a header line; comma or semicolon between columns. Any mistake and nothing of it is taken."""
    first = text.partition("\n")[0]
    rows = csv.reader(
        (f"{line}\n" for line in text.removeprefix("\ufeff").split("\n")), delimiter=";" if first.count(";") > first.count(",") else ","
    )
    try:
        header = [each.strip().lower() for each in next(rows, [])]
        wrong = _header_mistake(header)
        if wrong:
            return (Mistake(line=1, message=wrong),)
        return _read_rows(header, rows, time_zones)
    except csv.Error as error:
        return (Mistake(line=rows.line_num, message=f"this is no CSV: {error}"),)


def _header_mistake(header: list[str]) -> str:
    if "address" not in header and "key" not in header:
        return f"the first line must name the columns: {', '.join(PEOPLE_COLUMNS)}; or {', '.join(ORGANISATION_COLUMNS)}"
    known = PEOPLE_COLUMNS if "address" in header else ORGANISATION_COLUMNS
    unknown = next((each for each in header if each not in known), None)
    if unknown is not None:
        return f"there is no column {unknown!r}; there are {', '.join(known)}"
    return "a column stands twice" if len(set(header)) != len(header) else ""


def _read_rows(header: list[str], rows: Iterable[list[str]], time_zones: frozenset[str]) -> Wanted | tuple[Mistake, ...]:
    people: list[Person] = []
    organisations: list[Organisation] = []
    mistakes: list[Mistake] = []
    owners: dict[str, int] = {}
    for line, row in enumerate(rows, start=2):
        if not any(each.strip() for each in row):
            continue
        if line > MAX_ROWS + 1:
            return (Mistake(line=line, message=f"more than {MAX_ROWS} lines: import the file in parts"),)
        made = _read_row(header, row, time_zones)
        if isinstance(made, str):
            mistakes.append(Mistake(line=line, message=made))
        else:
            mistakes += [Mistake(line=line, message=each) for each in _claim(owners, made, line)]
            (people if isinstance(made, Person) else organisations).append(made)  # type: ignore[arg-type]  # of the kind just asked for
        if len(mistakes) >= MAX_MISTAKES:
            break
    return tuple(mistakes) or Wanted(people=tuple(people), organisations=tuple(organisations), columns=frozenset(header))


def _claim(owners: dict[str, int], made: Person | Organisation, line: int) -> list[str]:
    """An address, key or domain belongs to one line."""
    names = made.addresses if isinstance(made, Person) else (made.key, *(f"@{each}" for each in made.domains))
    taken = [f"{each.removeprefix('@')} stands in line {owners[each]} already" for each in names if owners.get(each, line) != line]
    owners |= {each: line for each in names if each not in owners}
    return taken


def _read_row(header: list[str], row: list[str], time_zones: frozenset[str]) -> Person | Organisation | str:
    if len(row) != len(header):
        return f"it has {len(row)} columns, the first line has {len(header)}"
    given = dict(zip(header, (each.strip() for each in row), strict=True))
    if any(len(each) > MAX_FIELD_CHARACTERS or not each.isprintable() for each in given.values()):
        return f"a value is longer than {MAX_FIELD_CHARACTERS} characters or holds control characters"
    return _person(given, time_zones) if "address" in given else _organisation(given)


def _person(given: dict[str, str], time_zones: frozenset[str]) -> Person | str:
    written = [given["address"], *re.split(r"[\s;,]+", given.get("aliases", ""))]
    addresses = tuple(dict.fromkeys(canonical(each) for each in written if each))
    wrong = next((each for each in addresses if not is_mailbox(each)), None)
    if wrong is not None or not given["address"]:
        return f"{wrong or given['address']!r} is no mail address"
    if len(addresses) > MAX_ADDRESSES:
        return f"more than {MAX_ADDRESSES} addresses"
    vip, language, time_zone = given.get("vip", "").lower(), given.get("language", ""), given.get("time_zone", "")
    if vip not in _YES | _NO:
        return f"vip is yes or no, not {vip!r}"
    if language and not is_language_tag(language):
        return f"{language!r} is no language tag such as en or pt-BR (RFC 5646)"
    if time_zone and time_zone not in time_zones:
        return f"there is no time zone {time_zone!r}; they look like Europe/Paris"
    organisation = given.get("organisation", "")
    if organisation and not _KEY.fullmatch(organisation):
        return f"{organisation!r} is no key of an organisation: small letters, digits, - _ ."
    return Person(
        address=addresses[0], addresses=addresses, name=given.get("name", ""), organisation=organisation, vip=vip in _YES,
        language=language, time_zone=time_zone,
    )  # fmt: skip


def _organisation(given: dict[str, str]) -> Organisation | str:
    if not _KEY.fullmatch(given["key"]):
        return f"{given['key']!r} is no key: small letters, digits, - _ ."
    domains = tuple(dict.fromkeys(each.casefold() for each in re.split(r"[\s;,]+", given.get("domains", "")) if each))
    wrong = next((each for each in domains if not _DOMAIN.fullmatch(each)), None)
    if wrong is not None:
        return f"{wrong!r} is no domain"
    return Organisation(key=given["key"], name=given.get("name", "") or given["key"], domains=domains)


def compare_people(wanted: Wanted, known: Iterable[Person]) -> tuple[Change, ...]:
    """What has to change so that the people are as the file says. Who has one of its addresses is the same person (RFC 5322 3.4)."""
    by_address = {address: person for person in known for address in person.addresses}
    changes: list[Change] = []
    for row in wanted.people:
        found = list({by_address[each].id: by_address[each] for each in row.addresses if each in by_address}.values())
        if not found:
            changes.append(Change(kind="added", of=row.address, fields=_shown(row), person=row))
            continue
        kept, *others = sorted(found, key=lambda each: (row.address not in each.addresses, each.id))
        after = _merged(row, kept, others, wanted.columns)
        if after != kept:
            kind = "joined" if others else "changed"
            gone = tuple(each.id for each in others)
            changes.append(Change(kind=kind, of=row.address, fields=_differences(kept, after), person=after, gone=gone))
    return tuple(changes)


def compare_absent(wanted: Wanted, known: Iterable[Person]) -> tuple[Change, ...]:
    """What has to change so that nobody belongs to an organisation whose people the file lists without them; nobody else is touched."""
    listed = {each.organisation for each in wanted.people if each.organisation}
    named = {address for each in wanted.people for address in each.addresses}
    changes: list[Change] = []
    for person in known:
        if person.organisation in listed and named.isdisjoint(person.addresses):
            after = msgspec.structs.replace(person, organisation="", vip=False)
            changes.append(Change(kind="detached", of=person.address, fields=_differences(person, after), person=after))
    return tuple(changes)


def _merged(row: Person, kept: Person, others: list[Person], columns: frozenset[str]) -> Person:
    """The row over what is known: a column the file lacks stays; addresses once known stay known."""
    addresses = dict.fromkeys((*row.addresses, *kept.addresses, *(each for other in others for each in other.addresses)))
    named = {name: getattr(row, name) for name in ("name", "organisation", "vip", "language", "time_zone") if name in columns}
    return msgspec.structs.replace(kept, address=row.address, addresses=tuple(addresses), **named)


def _differences(before: Person, after: Person) -> dict[str, str]:
    old, new = _shown(before), _shown(after)
    return {name: f"{old.get(name, '')} -> {new.get(name, '')}" for name in sorted(old | new) if old.get(name) != new.get(name)}


def compare_organisations(wanted: Wanted, known: Mapping[str, Organisation]) -> tuple[Change, ...]:
    """What has to change so that the organisations are as the file says; a domain goes to the one that names it last."""
    changes: list[Change] = []
    for row in wanted.organisations:
        before = known.get(row.key)
        if before is None:
            changes.append(Change(kind="added", of=row.key, fields={"name": row.name, "domains": " ".join(row.domains)}, organisation=row))
            continue
        domains = row.domains if "domains" in wanted.columns else before.domains
        name = row.name if "name" in wanted.columns else before.name
        after = msgspec.structs.replace(before, name=name, domains=domains)
        if after != before:
            fields = {
                field: f"{old} -> {new}"
                for field, old, new in (("name", before.name, name), ("domains", " ".join(before.domains), " ".join(domains)))
                if old != new
            }
            changes.append(Change(kind="changed", of=row.key, fields=fields, organisation=after))
    return tuple(changes)


def _shown(person: Person) -> dict[str, str]:
    """The fields of a person as people read them, without those that are empty."""
    fields = {
        "address": person.address,
        "name": person.name,
        "aliases": " ".join(each for each in person.addresses if each != person.address),
        "organisation": person.organisation,
        "vip": "yes" if person.vip else "",
        "language": person.language,
        "time_zone": person.time_zone,
    }
    return {name: value for name, value in fields.items() if value}
