"""Why something was decided, from the reasons kept with the decision and the trace around it, as a person reads it."""

from collections import Counter

from itsm.decision import Reasons
from triaged.output import instant
from triaged.rereading import Parsed
from triaged.trace import Door, Judged, Told, Trace

MAX_SHOWN = 20  # lines of one kind


def as_text(trace: Trace) -> str:
    """The heading, then a paragraph a part, then what waits and what else was sent."""
    lines = [_heading(trace)]
    read = {each.inbox_id: each for each in trace.parse}
    for door in trace.doors[:MAX_SHOWN]:
        lines += [f"  {line}" for line in (_came(door), _read(read[door.inbox_id])) if line]
    if not trace.parts:
        lines.append("  Nothing more is kept of it: a repeat leaves no reasons, and what waits has none yet.")
    for part in trace.parts:
        lines += ["", _paragraph(part)]
    if trace.timers:
        lines += ["", *(f"  timer {each.kind} of {each.ticket}, due {instant(each.due_at)}" for each in trace.timers[:MAX_SHOWN])]
    if trace.notifications:
        lines += ["", "  other mails of the ticket", *(f"    {_mail(each)}" for each in trace.notifications[:MAX_SHOWN])]
    return "\n".join(lines)


def _heading(trace: Trace) -> str:
    if len(trace.doors) != 1 or trace.about != trace.doors[0].inbox_id:
        return trace.about
    door = trace.doors[0]
    counts = ", ".join(f"{count} {name}" for name, count in sorted(Counter(door.outcomes).items()))
    return f"{door.inbox_id}  {door.state}: {counts or 'no part yet'}{f'; {door.reason}' if door.reason else ''}"


def _came(door: Door) -> str:
    """The door's line: what came, by which way, when, from where."""
    who = f", envelope <{door.reverse_path}> to {', '.join(door.forward_paths)}" if door.reverse_path is not None else ""
    tries = f", {door.attempts} attempts" if door.attempts > 1 else ""
    mended = f", edited from {door.edited_from}" if door.edited_from else ""
    peer = f" from {door.peer}" if door.peer else ""
    return (
        f"door: {door.format} by {door.channel.value} to {door.source}{peer}, {instant(door.received_at)}, {door.size_bytes} bytes"
        f"{who}{tries}{mended}"
    )


def _read(parsed: Parsed) -> str:
    """The parser's line."""
    if parsed.read is None:
        return f"parse: {parsed.note}"
    if parsed.events:
        return f"parse: {parsed.events} alerts"
    if "error" in parsed.read:
        return f"parse: {parsed.read['error']}"
    mark = f"; no automatic answer: {parsed.read['unanswerable']}" if parsed.read.get("unanswerable") else ""
    return f"parse: {parsed.read.get('kind')} mail{mark}"


def _paragraph(part: Judged) -> str:
    where = f" {part.ticket}" if part.ticket else ""
    head = f"  {instant(part.decided_at)}  {part.inbox_id} part {part.part} ({part.kind.replace('_', ' ')}): {part.outcome}{where}"
    lines = ["its reasons were erased"] if part.reasons is None else reasons_text(part.reasons)
    lines += [f"done: {each.kind} by {each.actor}{_content(each.content)}" for each in part.acts[:MAX_SHOWN]]
    lines += [_mail(each) for each in part.notifications[:MAX_SHOWN]]
    return "\n".join([head, *(f"    {line}" for line in lines)])


def _content(content: dict[str, str] | None) -> str:
    """What of a history entry says most: changes of fields, not digests."""
    told = {name: value for name, value in (content or {}).items() if value and not name.endswith("sha256")}
    return f" ({', '.join(f'{name}: {value}' for name, value in told.items())})" if told else ""


def _mail(told: Told) -> str:
    """A mail and what became of it."""
    became = told.suppressed_because or told.last_error or told.relay_reply or ""
    sent = f" {instant(told.sent_at)}" if told.sent_at else ""
    back = f"; came back {instant(told.bounced_at)}" if told.bounced_at else ""
    return f"mail {told.event.value} to {told.recipient or 'nobody'}: {told.state.value}{sent}{f' ({became})' if became else ''}{back}"


def reasons_text(reasons: Reasons) -> list[str]:
    """Lines: the sentence, the rules that matched, what they read, what nearly matched, how far the sender was trusted."""
    lines = [f"{reasons.code}: {reasons.sentence}"]
    if reasons.rules:
        lines.append(f"rules that matched: {', '.join(reasons.rules)}")
    lines += [f"{name} = {value}" for name, value in reasons.values.items()]
    lines += [f"nearly: rule {miss.rule} wanted {miss.predicate}, it was {miss.value!r}" for miss in reasons.near_misses]
    lines += [f"DKIM signature of {reasons.signed_by}, verified when it was judged"] if reasons.signed_by else []
    lines.append(f"trust level {reasons.trust}" + (f", ruleset {reasons.ruleset_sha256[:12]}" if reasons.ruleset_sha256 else ""))
    return lines
