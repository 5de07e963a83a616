"""Machine mail of a monitor becomes an event: templates with named blanks, read in one pass, no regular expressions (ADR-0006).

A template such as `{host}/{service} is {status}` is words and blanks in turn. Words must stand as written; a blank takes what stands up
to the next words, the last one the rest. Nothing is tried twice, so a mail costs its length, whatever is in it (A32).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from itsm.envelope import Envelope
from itsm.signal import EventStatus, MailKind, MonitoringEvent, Severity, UserMessage
from rules.predicate import Condition, PredicateError, compile_condition

MAX_SUBJECT_CHARACTERS = 1_000
MAX_LINES = 500
MAX_LINE_CHARACTERS = 1_000
MAX_BLANK_CHARACTERS = 500
MAX_TEXT_CHARACTERS = 20_000
MAX_KEY_CHARACTERS = 500
MAX_CLOCK_SKEW = timedelta(hours=24)  # a Date further from the receipt is not believed
NOT_OF_A_MONITOR = frozenset({MailKind.BOUNCE, MailKind.FEEDBACK, MailKind.AUTO_REPLY})

Words = tuple[str, ...]


class Extraction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of mail that a monitor sends. The first whose conditions hold and whose templates fit makes the event."""

    key: Annotated[str, Meta(description="Name of the extraction, shown in every reason; unique.", min_length=1, max_length=64)]
    when: Annotated[dict[str, Any], Meta(description="Conditions on the mail, as in rules; name the sender at least.")]
    source: Annotated[
        str, Meta(description="The monitoring source that speaks; use the name of its webhook where it has one.", min_length=1)
    ]
    subject: Annotated[str, Meta(description="Template of the whole subject, with blanks in braces; empty: any subject.")] = ""
    body: Annotated[Words, Meta(description="Templates of lines of the text; the first line that fits fills the blanks.")] = ()
    series: Annotated[
        str, Meta(description="What names the series, of blanks that were read: the same as the webhook's key.", min_length=1)
    ]
    title: Annotated[str, Meta(description="Title of the incident, of blanks that were read; empty: the subject.")] = ""
    status: Annotated[str, Meta(description="Where the status stands, of blanks that were read.")] = "{status}"
    firing: Annotated[Words, Meta(description="Status words that mean firing; any other word means it too, and is flagged.")] = (
        "problem", "down", "critical", "warning", "unknown", "unreachable", "firing", "alert", "error", "failed",
    )  # fmt: skip
    resolved: Annotated[Words, Meta(description="Status words that mean resolved.")] = (
        "ok", "up", "recovery", "recovered", "resolved", "clear", "cleared", "normal",
    )  # fmt: skip
    acknowledged: Annotated[Words, Meta(description="Status words that mean acknowledged.")] = ("acknowledgement", "acknowledged")
    severity: Annotated[str, Meta(description="Where the severity stands, of blanks that were read; empty: unknown.")] = ""
    severities: Annotated[dict[str, Severity], Meta(description="Severity by the word that was read.")] = {}


class _Template(msgspec.Struct, frozen=True, kw_only=True):
    """Words before each blank, the blanks' names, and the words at the end."""

    words: Words
    blanks: Words
    end: str


class CompiledExtraction(msgspec.Struct, frozen=True, kw_only=True):
    """An extraction ready to read mails."""

    extraction: Extraction
    conditions: tuple[Condition, ...]
    subject: _Template | None
    body: tuple[_Template, ...]


def compile_extractions(extractions: Sequence[Extraction]) -> tuple[tuple[CompiledExtraction, ...], tuple[str, ...]]:
    """The extractions, and what is wrong with any, in words for who wrote it; one in error is left out."""
    compiled: list[CompiledExtraction] = []
    errors: list[str] = []
    for each in extractions:
        if any(other.extraction.key == each.key for other in compiled):
            errors.append(f"extraction {each.key!r}: another one has this key")
        try:
            compiled.append(_compiled(each))
        except PredicateError as error:
            errors.append(f"extraction {each.key!r}: {error}")
    return tuple(compiled), tuple(errors)


def _compiled(extraction: Extraction) -> CompiledExtraction:
    conditions = compile_condition(extraction.when)
    if not conditions:
        raise PredicateError("`when` is empty: name at least the sender, or every mail would be read as an alert")
    subject = _template(extraction.subject) if extraction.subject else None
    body = tuple(_template(each) for each in extraction.body)
    known = [name for each in (subject, *body) if each is not None for name in each.blanks]
    if len(set(known)) < len(known):
        raise PredicateError("two blanks have one name; each may be filled once")
    for field in ("series", "title", "status", "severity"):
        for name in _template(getattr(extraction, field)).blanks:
            if name not in known:
                raise PredicateError(f"{field} uses the blank {{{name}}}, which neither subject nor body fills")
    if not _template(extraction.series).blanks:
        raise PredicateError("series has no blank: every mail would be of one series")
    return CompiledExtraction(extraction=extraction, conditions=conditions, subject=subject, body=body)


def _template(text: str) -> _Template:
    """Cut a template at its blanks. Raises PredicateError."""
    words: list[str] = []
    blanks: list[str] = []
    rest = text
    while "{" in rest:
        before, _, after = rest.partition("{")
        name, closed, rest = after.partition("}")
        if not closed or not name.isidentifier():
            raise PredicateError(f"{text!r} has a blank without a name or without its closing brace")
        if blanks and not before:
            raise PredicateError(f"{text!r} has two blanks with nothing between: where the first ends cannot be told")
        words.append(before)
        blanks.append(name)
    return _Template(words=tuple(words), blanks=tuple(blanks), end=rest)


def read(template: _Template, text: str) -> dict[str, str] | None:
    """What fills the blanks, None when the text does not fit. One pass: each word is looked for once, from where the last one ended."""
    found: dict[str, str] = {}
    if not template.blanks:
        return found if text == template.end else None
    if not text.startswith(template.words[0]) or not text.endswith(template.end):
        return None
    at, stop = len(template.words[0]), len(text) - len(template.end)
    for index, name in enumerate(template.blanks):
        last = index + 1 == len(template.blanks)
        until = stop if last else text.find(template.words[index + 1], at + 1, stop)
        value = text[at:until].strip() if until > at else ""
        if not value or len(value) > MAX_BLANK_CHARACTERS:
            return None
        found[name] = value
        at = until if last else until + len(template.words[index + 1])
    return found


def extract(
    message: UserMessage, envelope: Envelope, compiled: Sequence[CompiledExtraction], facts: Mapping[str, Any]
) -> MonitoringEvent | None:
    """The event in a mail, None when it is none: then it stays a mail, and nothing is lost. `facts` are those of rules."""
    if message.kind in NOT_OF_A_MONITOR:
        return None
    for each in compiled:
        if all(condition.holds(facts) is True for condition in each.conditions):
            filled = _filled(each, message)
            event = _event(each.extraction, filled, message, envelope) if filled is not None else None
            if event is not None:
                return event
    return None


def _filled(compiled: CompiledExtraction, message: UserMessage) -> dict[str, str] | None:
    found: dict[str, str] | None = {}
    if compiled.subject is not None:
        found = read(compiled.subject, " ".join(message.subject[:MAX_SUBJECT_CHARACTERS].split()))
    if found is None:
        return None
    lines = [line[:MAX_LINE_CHARACTERS].strip() for line in message.text.split("\n", MAX_LINES)[:MAX_LINES]] if compiled.body else []
    for template in compiled.body:
        found |= next((some for line in lines if (some := read(template, line)) is not None), {})
    return found


def _fill(text: str, filled: Mapping[str, str]) -> str | None:
    """The template with its blanks filled, None when one was not read."""
    template = _template(text)
    if any(name not in filled for name in template.blanks):
        return None
    return "".join(word + filled[name] for word, name in zip(template.words, template.blanks, strict=True)) + template.end


def _event(extraction: Extraction, filled: Mapping[str, str], message: UserMessage, envelope: Envelope) -> MonitoringEvent | None:
    series, word = _fill(extraction.series, filled), _fill(extraction.status, filled)
    title = _fill(extraction.title, filled) if extraction.title else message.subject
    if series is None or word is None or title is None:
        return None
    status, flags = _status(word, extraction)
    severity_raw = _fill(extraction.severity, filled) or None
    severity = {name.casefold(): each for name, each in extraction.severities.items()}.get((severity_raw or "").casefold())
    if severity_raw is not None and severity is None:
        flags = (*flags, "unmapped_severity")
    said_at = message.date
    if said_at is None or abs(said_at - envelope.received_at) > MAX_CLOCK_SKEW:
        said_at = envelope.received_at
    return MonitoringEvent(
        source=extraction.source,
        series_key=series[:MAX_KEY_CHARACTERS],
        status=status,
        status_raw=word,
        severity=severity or Severity.UNKNOWN,
        severity_raw=severity_raw,
        title=title.strip()[:MAX_KEY_CHARACTERS] or series[:MAX_KEY_CHARACTERS],
        text=message.text[:MAX_TEXT_CHARACTERS],
        observed_at=said_at,
        ended_at=said_at if status is EventStatus.RESOLVED else None,
        labels=dict(filled),
        flags=flags,
    )


def _status(word: str, extraction: Extraction) -> tuple[EventStatus, tuple[str, ...]]:
    folded = word.casefold()
    for status, words in (
        (EventStatus.RESOLVED, extraction.resolved),
        (EventStatus.ACKNOWLEDGED, extraction.acknowledged),
        (EventStatus.FIRING, extraction.firing),
    ):
        if folded in {each.casefold() for each in words}:
            return status, ()
    return EventStatus.FIRING, ("unmapped_status",)
