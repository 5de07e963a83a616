"""`triaged explain`: why something was decided; nothing is judged again."""

from typing import Any

import click

from itsm.identifier import inbox_text
from store.parts import PartRow
from triaged.access import opened
from triaged.explanation import as_text, explained
from triaged.options import config_option, json_option
from triaged.output import data, data_json


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
