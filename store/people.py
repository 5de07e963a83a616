"""Requesters and organisations: found by address, written by imports, each change in the history of the directory (design 5)."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, delete, insert, select

from itsm.address import canonical, domain_of
from itsm.person import Organisation, Person
from store.chunking import in_lists
from store.directory import STREAM
from store.history import NewEntry, append_many
from store.instants import to_column
from store.lookup import Lookup, among
from store.people_schema import organisation, organisation_domain, person, person_address
from store.transaction import Tx

MAX_LISTED = 1_000


_owners = Lookup(select(person_address).where(person_address.c.desk_id == bindparam("desk_id"), among(person_address.c.address)))
_organisations = Lookup(
    select(organisation_domain.c.domain, organisation.c.key)
    .select_from(
        organisation_domain.join(
            organisation,
            (organisation.c.desk_id == organisation_domain.c.desk_id) & (organisation.c.id == organisation_domain.c.organisation_id),
        )
    )
    .where(organisation_domain.c.desk_id == bindparam("desk_id"), among(organisation_domain.c.domain))
)

_languages = Lookup(
    select(person_address.c.address, person.c.language)
    .select_from(person_address.join(person, (person.c.desk_id == person_address.c.desk_id) & (person.c.id == person_address.c.person_id)))
    .where(person_address.c.desk_id == bindparam("desk_id"), among(person_address.c.address))
)


def languages(tx: Tx, addresses: Iterable[str]) -> dict[str, str]:
    """The language of whoever is known by each of these addresses, by canonical address; those without one are missing."""
    return {row.address: row.language for row in _languages(tx, {canonical(each) for each in addresses}) if row.language}


def by_addresses(tx: Tx, addresses: Iterable[str]) -> dict[str, Person]:
    """Who writes from each of these addresses. One of nobody we know belongs to the organisation of its domain, with id 0."""
    wanted = sorted({canonical(each) for each in addresses if each})
    owners = {row.address: row.person_id for row in _owners(tx, wanted)}
    people = by_ids(tx, owners.values()) if owners else {}
    found = {address: people[owner] for address, owner in owners.items() if owner in people}
    keys = _organisations_of(tx, {domain_of(each) for each in wanted if each not in found or not found[each].organisation})
    for address in wanted:
        key = keys.get(domain_of(address), "")
        if key and address not in found:
            found[address] = Person(address=address, addresses=(address,), organisation=key)
        elif key and not found[address].organisation:
            found[address] = msgspec.structs.replace(found[address], organisation=key)
    return found


def _organisations_of(tx: Tx, domains: set[str]) -> dict[str, str]:
    """The key of the organisation of each domain."""
    return {row.domain: row.key for row in _organisations(tx, domains)}


def by_ids(tx: Tx, ids: Iterable[int]) -> dict[int, Person]:
    """People by id with all their addresses; missing ones are left out."""
    found: dict[int, Person] = {}
    for some in in_lists(sorted(set(ids))):
        rows = tx.connection.execute(select(person).where(person.c.desk_id == tx.desk_id, person.c.id.in_(some))).all()
        addresses = _addresses(tx, [row.id for row in rows])
        found |= {row.id: _person(row, addresses.get(row.id, [])) for row in rows}
    return found


def _addresses(tx: Tx, ids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    query = select(person_address).where(person_address.c.desk_id == tx.desk_id, person_address.c.person_id.in_(ids))
    for row in tx.connection.execute(query.order_by(person_address.c.person_id, person_address.c.address)):
        found.setdefault(row.person_id, []).append(row.address)
    return found


def _person(row: Row[Any], addresses: Sequence[str]) -> Person:
    ordered = tuple(dict.fromkeys((row.address, *addresses)))
    return Person(
        id=row.id, address=row.address, addresses=ordered, name=row.name, organisation=row.organisation, vip=bool(row.vip),
        language=row.language, time_zone=row.time_zone,
    )  # fmt: skip


def listed(tx: Tx, *, organisation_key: str | None = None, vip: bool | None = None, after: str = "", limit: int = 100) -> list[Person]:
    """People by address, at most 1,000; `after` continues a page."""
    query = select(person).where(person.c.desk_id == tx.desk_id, person.c.address > after)
    if organisation_key is not None:
        query = query.where(person.c.organisation == organisation_key)
    if vip is not None:
        query = query.where(person.c.vip == vip)
    rows = tx.connection.execute(query.order_by(person.c.address).limit(min(limit, MAX_LISTED))).all()
    found: dict[int, list[str]] = {}
    for some in in_lists([row.id for row in rows]):
        found |= _addresses(tx, some)
    return [_person(row, found.get(row.id, [])) for row in rows]


def organisations(tx: Tx) -> dict[str, Organisation]:
    """Every organisation by its key."""
    rows = tx.connection.execute(select(organisation).where(organisation.c.desk_id == tx.desk_id).order_by(organisation.c.key))
    return {
        row.key: Organisation(id=row.id, key=row.key, name=row.name, domains=msgspec.json.decode(row.domains, type=tuple[str, ...]))
        for row in rows
    }


def write_people(tx: Tx, changes: Sequence[tuple[str, Person, tuple[int, ...], dict[str, str]]], actor: str) -> None:
    """Write people over what there is: (kind of change, the person, ids of those who are part of it now, what changed)."""
    entries: list[NewEntry] = []
    rows: list[dict[str, object]] = []
    addresses: list[dict[str, object]] = []
    for kind, each, gone, fields in changes:
        person_id = each.id or tx.new_id()
        rows.append(
            {
                "desk_id": tx.desk_id, "id": person_id, "address": each.address, "name": each.name, "organisation": each.organisation, "vip": each.vip,
                "language": each.language, "time_zone": each.time_zone, "updated_at": to_column(tx.now),
            }
        )  # fmt: skip
        addresses += [{"desk_id": tx.desk_id, "address": address, "person_id": person_id} for address in each.addresses]
        entries.append((STREAM, f"person_{kind}", actor, (person_id, *gone), msgspec.json.encode(fields)))
    replaced = [each.id for _, each, _, _ in changes if each.id] + [other for _, _, gone, _ in changes for other in gone]
    for some in in_lists(replaced):
        tx.connection.execute(delete(person_address).where(person_address.c.desk_id == tx.desk_id, person_address.c.person_id.in_(some)))
        tx.connection.execute(delete(person).where(person.c.desk_id == tx.desk_id, person.c.id.in_(some)))
    if rows:
        tx.connection.execute(insert(person), rows)
        tx.connection.execute(insert(person_address), addresses)
    append_many(tx, entries)


def write_organisations(tx: Tx, changes: Sequence[tuple[str, Organisation, dict[str, str]]], actor: str) -> None:
    """Write organisations over what there is; a domain belongs to one, the last that names it."""
    entries: list[NewEntry] = []
    for kind, each, fields in changes:
        organisation_id = each.id or tx.new_id()
        where = (organisation.c.desk_id == tx.desk_id, organisation.c.id == organisation_id)
        tx.connection.execute(delete(organisation).where(*where))
        domains = msgspec.json.encode(each.domains).decode()
        tx.connection.execute(
            insert(organisation).values(desk_id=tx.desk_id, id=organisation_id, key=each.key, name=each.name, domains=domains)
        )
        owned = organisation_domain.c.organisation_id == organisation_id
        tx.connection.execute(delete(organisation_domain).where(organisation_domain.c.desk_id == tx.desk_id, owned))
        for domain in each.domains:
            tx.connection.execute(
                delete(organisation_domain).where(organisation_domain.c.desk_id == tx.desk_id, organisation_domain.c.domain == domain)
            )
            tx.connection.execute(insert(organisation_domain).values(desk_id=tx.desk_id, domain=domain, organisation_id=organisation_id))
        entries.append((STREAM, f"organisation_{kind}", actor, (organisation_id,), msgspec.json.encode(fields)))
    append_many(tx, entries)
