"""Why something was decided, from the reasons kept with the decision, as a person reads it."""

from collections import Counter

from itsm.decision import Reasons
from itsm.envelope import OUTCOME_OF_CODE, PENDING_CODE
from itsm.identifier import inbox_text
from itsm.ticket import number_text
from store import parts, tickets
from store.inbox import InboxRow
from store.parts import PartRow
from store.transaction import Tx
from triaged.access import find
from triaged.output import instant

Told = tuple[str, list[PartRow], dict[int, str]]


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


def reasons_text(reasons: Reasons) -> list[str]:
    """Lines: the sentence, the rules that matched, what they read, what nearly matched, how far the sender was trusted."""
    lines = [f"{reasons.code}: {reasons.sentence}"]
    if reasons.rules:
        lines.append(f"rules that matched: {', '.join(reasons.rules)}")
    lines += [f"{name} = {value}" for name, value in reasons.values.items()]
    lines += [f"nearly: rule {miss.rule} wanted {miss.predicate}, it was {miss.value!r}" for miss in reasons.near_misses]
    lines.append(f"trust level {reasons.trust}" + (f", ruleset {reasons.ruleset_sha256[:12]}" if reasons.ruleset_sha256 else ""))
    return lines
