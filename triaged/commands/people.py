"""`triaged people`: requesters and organisations, imported from CSV files, listed and shown; reply addresses revoked."""

import zoneinfo
from pathlib import Path

import click

from casework.people import import_people
from itsm.act import Absent, Actor, ActorKind, ImportPeople
from itsm.errors import MalformedInput, Permanent
from itsm.person import Person
from itsm.ticket import parse_number
from rules.directory_import import MAX_FILE_BYTES, Change
from store import grants, people, tickets
from triaged.access import opened
from triaged.options import config_option, json_option
from triaged.output import data, data_json, table, talk
from triaged.tables import ticket_object, ticket_table

OPERATOR = Actor(kind=ActorKind.OPERATOR, name="cli", trust=3)
MAX_TICKETS_SHOWN = 20


@click.group("people", short_help="Import, list and show requesters and organisations.")
@config_option
def command() -> None:
    """Import, list and show requesters and organisations."""


@command.command("import")
@config_option
@json_option
@click.option("--apply", "write", is_flag=True, help="Write the changes; without it they are only shown.")
@click.option(
    "--absent",
    type=click.Choice([each.value for each in Absent]),
    default=Absent.KEEP.value,
    show_default=True,
    help="People of the organisations that FILE names whom no line names: keep, or detach from their organisation, and no VIPs any more.",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(file: Path, write: bool, absent: str, as_json: bool) -> int:
    """Compare FILE, a CSV file of people or organisations, with what is known, and with --apply write the changes.

    People have the columns address, name, aliases, organisation, vip, language, time_zone; organisations key, name, domains. A column
    that is missing leaves what is known.
    """
    act = ImportPeople(actor=OPERATOR, text=_read(file), absent=Absent(absent), preview=not write)
    zones = frozenset(zoneinfo.available_timezones())
    with opened() as (store, _):
        if write:
            changes = store.write(lambda tx: import_people(tx, act, zones)).result()
        else:
            changes = store.read(lambda tx: import_people(tx, act, zones))
    if as_json:
        for each in changes:
            data_json({"kind": each.kind, "of": each.of, "fields": each.fields})
    elif changes:
        data(table(("change", "of", "what"), [(each.kind, each.of, _told(each)) for each in changes]))
    talk(f"{len(changes)} changes {'written' if write else 'would be made; --apply writes them'}.")
    return 0


def _read(file: Path) -> str:
    if file.stat().st_size > MAX_FILE_BYTES:
        raise MalformedInput(f"{file} is larger than {MAX_FILE_BYTES // 2**20} MiB: import it in parts")
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedInput(f"{file} is not UTF-8: {error}") from error


def _told(change: Change) -> str:
    return ", ".join(f"{name}: {value}" for name, value in change.fields.items())


@command.command("list")
@config_option
@json_option
@click.option("--organisation", metavar="KEY", help="Only people of this organisation.")
@click.option("--vip", is_flag=True, help="Only VIPs.")
@click.option("--after", default="", metavar="ADDRESS", help="Only those after this address: the next page.")
@click.option("--limit", type=click.IntRange(1, people.MAX_LISTED), default=100, show_default=True, help="At most this many.")
def list_(organisation: str | None, vip: bool, after: str, limit: int, as_json: bool) -> int:
    """List people by their address."""
    with opened() as (store, _):
        found = store.read(lambda tx: people.listed(tx, organisation_key=organisation, vip=True if vip else None, after=after, limit=limit))
    if as_json:
        for each in found:
            data_json(_object(each))
    elif found:
        headers = ("address", "name", "organisation", "vip", "language", "time zone", "aliases")
        rows = [
            (
                each.address,
                each.name,
                each.organisation,
                "yes" if each.vip else "",
                each.language,
                each.time_zone,
                " ".join(each.addresses[1:]),
            )
            for each in found
        ]
        data(table(headers, rows))
    else:
        talk("There is nobody.")
    return 0


@command.command("show")
@config_option
@json_option
@click.argument("address")
def show(address: str, as_json: bool) -> int:
    """Show who writes from ADDRESS, with the newest tickets."""
    with opened() as (store, _):
        found = store.read(lambda tx: people.by_addresses(tx, [address]).get(address.strip().casefold()))
        if found is None:
            raise Permanent(f"nobody is known by {address}, and no organisation by its domain", status=404)
        theirs = store.read(lambda tx: tickets.listed(tx, requester=found.address, limit=MAX_TICKETS_SHOWN))
    if as_json:
        data_json(_object(found) | {"tickets": [ticket_object(each) for each in theirs]})
        return 0
    facts = _object(found) | {"addresses": " ".join(found.addresses), "vip": "yes" if found.vip else ""}
    data("\n".join(f"  {name:13} {value}" for name, value in facts.items() if value))
    if theirs:
        data("\n" + ticket_table(theirs))
    return 0


def _object(person: Person) -> dict[str, object]:
    return {name: getattr(person, name) for name in person.__struct_fields__} | {"id": str(person.id)}


@command.command("revoke")
@config_option
@click.option("--ticket", "number", metavar="NUMBER", help="Only the reply addresses for this ticket.")
@click.argument("agent")
def revoke(agent: str, number: str | None) -> int:
    """Revoke the reply addresses of AGENT, by its key: what is answered to them is held from now on."""
    ticket_number = parse_number(number) if number is not None else None
    if number is not None and ticket_number is None:
        raise click.BadParameter(f"{number!r} is no ticket number; they look like INC-1042", param_hint="--ticket")
    with opened() as (store, _):
        count = store.write(lambda tx: grants.revoke(tx, agent, ticket_number=ticket_number)).result()
    talk(f"{count} reply addresses of {agent} revoked.")
    return 0
