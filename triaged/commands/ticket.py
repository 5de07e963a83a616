"""`triaged ticket`: list, show, act, as the operator who holds the data directory (trust level 3)."""

import click

from casework.entering import enter
from casework.handle import perform
from itsm.act import Act, Actor, ActorKind, Entered, Verb
from itsm.lifecycle import legal_acts
from itsm.signal import Attachment
from itsm.ticket import State, Ticket, TicketType, number_text
from itsm.words import terms
from store import entries, history, outbox, tickets
from store.credentials import signing_keys
from store.entries import Entry
from store.history import HistoryEntry
from store.outbox import OutboxRow
from store.transaction import Tx
from triaged.access import opened, ticket_named
from triaged.composition import casework_of
from triaged.options import config_option, json_option
from triaged.output import data, data_json, instant, table, talk
from triaged.tables import ticket_object, ticket_table

OPERATOR_TRUST = 3
OPEN = "open"


@click.group("ticket", short_help="List, show and act on tickets.")
@config_option
def command() -> None:
    """List, show and act on tickets."""


@command.command("list")
@config_option
@json_option
@click.option(
    "--state", type=click.Choice([OPEN, *(each.value for each in State)]), help="Only these; open is new, in progress and pending."
)
@click.option("--type", "type_", type=click.Choice([each.value for each in TicketType]), help="Only this type.")
@click.option("--requester", metavar="ADDRESS", help="Only tickets of this person.")
@click.option("--query", metavar="WORDS", help="Only with an entry that has all these words; WORD* finds what begins so.")
@click.option("--limit", type=click.IntRange(1, tickets.MAX_LISTED), default=50, show_default=True, help="At most this many.")
def list_(state: str | None, type_: str | None, requester: str | None, query: str | None, limit: int, as_json: bool) -> int:
    """List tickets, the newest first."""
    wanted = terms(query) if query is not None else None
    with opened() as (store, _):
        found = store.read(lambda tx: tickets.listed(tx, state=state, type_=type_, requester=requester, terms=wanted, limit=limit))
    if as_json:
        for ticket in found:
            data_json(ticket_object(ticket))
    elif found:
        data(ticket_table(found))
    else:
        talk("There is no such ticket.")
    return 0


@command.command("show")
@config_option
@json_option
@click.argument("number")
def show(number: str, as_json: bool) -> int:
    """Show a ticket with everything that was said and done on it."""

    def work(tx: Tx) -> tuple[Ticket, list[Entry], list[HistoryEntry], list[OutboxRow], list[tuple[str, str]]]:
        ticket = ticket_named(tx, number)
        links = tickets.links_of(tx, ticket.id)
        others = tickets.by_ids(tx, [other for other, _ in links])
        named = [(kind, number_text(others[other].type, others[other].number)) for other, kind in links if other in others]
        words, acts = entries.of_ticket(tx, ticket.id), history.of_stream(tx, f"ticket:{ticket.id}")
        return ticket, words, acts, outbox.listed(tx, ticket_id=ticket.id), named

    with opened() as (store, _):
        ticket, words, acts, sent, links = store.read(work)
    if as_json:
        data_json(
            ticket_object(ticket)
            | {
                "entries": words,
                "history": [
                    {"seq": each.seq, "at": each.at, "kind": each.kind, "actor": each.actor, "content": _text(each)} for each in acts
                ],
                "notifications": sent,
                "links": [{"kind": kind, "number": other} for kind, other in links],
            }
        )
        return 0
    data(_head(ticket, links))
    data("\n".join(_entry(each) for each in words))
    data(table(("at", "what", "by", "detail"), [(each.at, each.kind, each.actor, _text(each)) for each in acts]))
    if sent:
        data("\n" + _notices(sent))
    return 0


def _head(ticket: Ticket, links: list[tuple[str, str]]) -> str:
    facts = [
        ("state", ticket.state.value.replace("_", " ")),
        ("priority", f"P{ticket.priority} (impact {ticket.impact}, urgency {ticket.urgency})"),
        ("from", f"{ticket.requester_name} <{ticket.requester}>" if ticket.requester else f"source {ticket.source}"),
        ("team", ticket.team),
        ("assignee", ticket.assignee),
        ("service", ticket.service),
        ("tags", ", ".join(ticket.tags)),
        ("alerts", str(ticket.event_count) if ticket.event_count else ""),
        ("opened", instant(ticket.opened_at)),
        ("resolved", instant(ticket.resolved_at) if ticket.resolved_at else ""),
        ("links", ", ".join(f"{kind} {other}" for kind, other in links)),
        ("you may", ", ".join(verb.value for verb in legal_acts(ticket, ActorKind.OPERATOR))),
    ]
    lines = [f"{number_text(ticket.type, ticket.number)}  {ticket.subject}"]
    return "\n".join(lines + [f"  {name:9} {value}" for name, value in facts if value]) + "\n"


def _entry(entry: Entry) -> str:
    verified = "" if entry.verified or not entry.author else ", not verified"
    head = f"-- {instant(entry.created_at)}  {entry.author_name or entry.author or 'the desk'} ({entry.direction}, {entry.visibility}{verified})"
    files = "".join(f"\n   [{_file(each)}]" for each in entry.attachments)
    words = "\n".join(f"   {line}" for line in (entry.reply_text or entry.text).strip().splitlines())
    return f"{head}\n{words}{files}\n"


def _file(file: Attachment) -> str:
    return f"{file.filename or 'no name'}, {file.content_type}, {file.size_bytes} bytes"


def _text(entry: HistoryEntry) -> str:
    return entry.content.decode("utf-8", "replace") if entry.content is not None else "(erased)"


def _notices(sent: list[OutboxRow]) -> str:
    rows = [
        (each.notification.created_at, each.notification.event.value, each.notification.recipient, each.notification.state.value)
        for each in sent
    ]
    return table(("made", "mail", "to", "state"), rows)


@command.command("new")
@config_option
@json_option
@click.option("--for", "requester", default="", metavar="ADDRESS", help="The requester's mail address, who is told the number.")
@click.option("--name", default="", help="The requester's name.")
@click.option("--text", default="", help="What they said.")
@click.option(
    "--type", "type_", type=click.Choice([each.value for each in TicketType]), default=TicketType.INCIDENT.value, help="The type."
)
@click.option("--team", default="", metavar="KEY", help="The team; else that of the service, else the first.")
@click.option("--service", default="", metavar="KEY", help="The service.")
@click.option("--impact", type=click.IntRange(1, 3), default=3, show_default=True, help="Impact, 1 is the highest.")
@click.option("--urgency", type=click.IntRange(1, 3), default=2, show_default=True, help="Urgency, 1 is the highest.")
@click.option("--quiet", is_flag=True, help="The requester gets no acknowledgement.")
@click.argument("subject")
def new(
    subject: str,
    requester: str,
    name: str,
    text: str,
    type_: str,
    team: str,
    service: str,
    impact: int,
    urgency: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Enter a ticket for somebody who called or came by."""
    asked = Entered(
        actor=Actor(kind=ActorKind.OPERATOR, name="cli", trust=OPERATOR_TRUST), subject=subject, text=text, requester=requester,
        requester_name=name, type=type_, team=team, service=service, impact=impact, urgency=urgency, acknowledge=not quiet,
    )  # fmt: skip
    with opened() as (store, found):
        casework = casework_of(found.configuration, store.write(signing_keys).result())
        ticket = store.write(lambda tx: enter(tx, asked, casework)).result()
    if as_json:
        data_json(ticket_object(ticket))
    else:
        data(number_text(ticket.type, ticket.number))
    return 0


@command.command("act")
@config_option
@json_option
@click.option("--text", default="", help="The public words of reply and resolve, or the note.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="An argument of the verb: team, assignee, reason, code, impact, urgency, ...",
)
@click.option("--version", "expected_version", type=int, help="Refuse when the ticket is not at this version.")
@click.argument("number")
@click.argument("verb", type=click.Choice([each.value for each in Verb]))
def act(number: str, verb: str, text: str, settings: tuple[str, ...], expected_version: int | None, as_json: bool) -> int:
    """Do VERB to a ticket. A refusal names the acts that are legal."""
    with opened() as (store, found):
        keys = store.write(signing_keys).result()
        casework = casework_of(found.configuration, keys)

        def work(tx: Tx) -> Ticket:
            asked = Act(
                verb=Verb(verb),
                ticket_number=ticket_named(tx, number).number,
                actor=Actor(kind=ActorKind.OPERATOR, name="cli", trust=OPERATOR_TRUST),
                text=text,
                arguments=_arguments(settings),
                expected_version=expected_version,
            )
            return perform(tx, asked, casework)

        ticket = store.write(work).result()
    if as_json:
        data_json(ticket_object(ticket))
    else:
        talk(f"{number_text(ticket.type, ticket.number)} is {ticket.state.value.replace('_', ' ')}, version {ticket.version}.")
    return 0


def _arguments(settings: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in settings:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{each!r} is not NAME=VALUE", param_hint="--set")
        found[name.strip()] = value
    return found
