"""`triaged explain`: why something was decided, from the reasons kept with the decision; nothing is judged again."""

from collections import Counter
from typing import Any

import click

from itsm.envelope import OUTCOME_OF_CODE, PENDING_CODE
from itsm.identifier import inbox_text
from itsm.ticket import number_text
from store import parts, tickets
from store.inbox import InboxRow
from store.parts import PartRow
from store.transaction import Tx
from triaged.access import find, opened
from triaged.explanation import reasons_text
from triaged.options import config_option, json_option
from triaged.output import data, data_json, instant

Told = tuple[str, list[PartRow], dict[int, str]]


@click.command("explain", short_help="Tell why something was decided.")
@config_option
@json_option
@click.argument("id_", metavar="ID")
def command(id_: str, as_json: bool) -> int:
    """Tell why. ID is a ticket number (INC-1042), an inbox id (in-123) or the Message-ID of a mail that came in."""
    with opened() as (store, _):
        told = store.read(lambda tx: explained(tx, id_))
    for head, rows, numbers in told:
        if as_json:
            data_json({"about": head, "parts": [_object(row, numbers) for row in rows]})
        else:
            data(as_text(head, rows, numbers))
    return 0


def explained(tx: Tx, id_: str) -> list[Told]:
    """For each thing that ID names: a heading, its parts with their reasons, and the numbers of their tickets."""
    named = find(tx, id_)
    found: list[tuple[str, list[PartRow]]] = []
    if named.ticket is not None:
        head = f"{number_text(named.ticket.type, named.ticket.number)}  {named.ticket.subject}"
        found.append((head, list(parts.of_ticket(tx, named.ticket.id))))
    found += [(_heading(row), list(parts.of_inbox(tx, row.envelope.id))) for row in named.envelopes]
    ids = {row.ticket_id for _, rows in found for row in rows if row.ticket_id is not None}
    numbers = {each.id: number_text(each.type, each.number) for each in tickets.by_ids(tx, ids).values()}
    return [(head, rows, numbers) for head, rows in found]


def _heading(row: InboxRow) -> str:
    envelope = row.envelope
    outcomes = Counter("pending" if code == PENDING_CODE else OUTCOME_OF_CODE[code].value for code in row.outcomes)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    reason = f"; {row.reason}" if row.reason else ""
    came = (
        f"{envelope.format} by {envelope.channel.value} to {envelope.source}, {instant(envelope.received_at)}, {envelope.size_bytes} bytes"
    )
    return f"{inbox_text(envelope.id)}  {row.state}: {counts or 'no part yet'}{reason}\n  {came}"


def as_text(head: str, rows: list[PartRow], numbers: dict[int, str]) -> str:
    """The heading, then a paragraph a part."""
    if not rows:
        return f"{head}\n  Nothing more is kept of it: a repeat leaves no reasons, and what waits has none yet."
    return "\n".join([head, *(_paragraph(row, numbers) for row in rows)])


def _paragraph(row: PartRow, numbers: dict[int, str]) -> str:
    ticket = f" {numbers[row.ticket_id]}" if row.ticket_id in numbers else ""
    head = f"\n  {instant(row.decided_at)}  {inbox_text(row.inbox_id)} part {row.seq} ({row.kind.replace('_', ' ')}): {row.outcome.value}{ticket}"
    if row.reasons is None:
        return f"{head}\n    its reasons were erased"
    return "\n".join([head, *(f"    {line}" for line in reasons_text(row.reasons))])


def _object(row: PartRow, numbers: dict[int, str]) -> dict[str, Any]:
    return {
        "inbox_id": inbox_text(row.inbox_id),
        "part": row.seq,
        "kind": row.kind,
        "outcome": row.outcome.value,
        "ticket": numbers.get(row.ticket_id) if row.ticket_id is not None else None,
        "decided_at": row.decided_at,
        "reasons": row.reasons,
    }
