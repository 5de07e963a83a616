"""Ordered rules, compiled once: each that matches applies, the first that sets a field wins it (design 4)."""

import hashlib

import msgspec

from itsm.address import canonical, domain_of
from itsm.decision import MAX_NEAR_MISSES, NearMiss
from itsm.envelope import Envelope
from itsm.signal import MonitoringEvent, UserMessage
from rules.predicate import LABEL_PREFIX, Check, Condition, Facts, PredicateError, compile_condition
from rules.settings import Rule, RulesSettings

MAX_TEXT_CHARACTERS = 65536  # of a mail's text that rules look at
SETTABLE = ("type", "impact", "urgency", "priority", "service", "team", "suppress", "acknowledge")


class RuleError(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that cannot be used: its place in the list, its key, and what is wrong."""

    index: int
    rule: str
    message: str


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with its condition as a closure."""

    rule: Rule
    condition: Condition


class Ruleset(msgspec.Struct, frozen=True, kw_only=True):
    """Rules ready to judge; `sha256` names this version in every reason."""

    settings: RulesSettings
    sha256: str
    compiled: tuple[Compiled, ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules set (None: not set), which matched, what they read, and which nearly matched."""

    type: str | None = None
    impact: int | None = None
    urgency: int | None = None
    priority: int | None = None
    service: str | None = None
    team: str | None = None
    tags: tuple[str, ...] = ()
    suppress: bool | None = None
    acknowledge: bool | None = None
    rules: tuple[str, ...] = ()
    values: dict[str, str] = {}
    near_misses: tuple[NearMiss, ...] = ()


def compile_ruleset(settings: RulesSettings) -> tuple[Ruleset, tuple[RuleError, ...]]:
    """The ruleset, and what is wrong with it; a rule in error is left out, so the caller must refuse when there is any."""
    errors: list[RuleError] = []
    compiled: list[Compiled] = []
    keys: set[str] = set()
    for index, rule in enumerate(settings.rule):
        if rule.key in keys:
            errors.append(RuleError(index=index, rule=rule.key, message="another rule has this key"))
        keys.add(rule.key)
        if rule.type not in (None, "incident", "service_request"):
            errors.append(RuleError(index=index, rule=rule.key, message="type must be incident or service_request"))
        try:
            compiled.append(Compiled(rule=rule, condition=compile_condition(rule.when)))
        except PredicateError as error:
            errors.append(RuleError(index=index, rule=rule.key, message=str(error)))
    if not _monotone(settings.priority):
        errors.append(RuleError(index=-1, rule="priority", message="the priority matrix must not fall as impact or urgency fall"))
    digest = hashlib.sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()
    return Ruleset(settings=settings, sha256=digest, compiled=tuple(compiled)), tuple(errors)


def _monotone(matrix: tuple[tuple[int, ...], ...]) -> bool:
    values = all(1 <= value <= 5 for row in matrix for value in row)
    along = all(row[column] <= row[column + 1] for row in matrix for column in range(2))
    down = all(matrix[row][column] <= matrix[row + 1][column] for row in range(2) for column in range(3))
    return values and along and down


def judge(ruleset: Ruleset, facts: Facts) -> Verdict:
    """Apply the rules in order. Cost: linear in the rules, each reads only the fields it names."""
    chosen: dict[str, object] = {}
    tags: dict[str, None] = {}
    matched: list[str] = []
    values: dict[str, str] = {}
    near: list[NearMiss] = []
    for each in ruleset.compiled:
        trace: list[Check] = []
        if each.condition(facts, trace):
            matched.append(each.rule.key)
            values |= {check.field: check.value for check in trace}
            for field in SETTABLE:
                value = getattr(each.rule, field)
                if value is not None:
                    chosen.setdefault(field, value)
            tags |= dict.fromkeys(each.rule.tags)
            if each.rule.stop:
                break
            continue
        failed = [check for check in trace if check.truth is not True]
        if len(failed) == 1 and len(near) < MAX_NEAR_MISSES:
            near.append(NearMiss(rule=each.rule.key, predicate=failed[0].predicate, value=failed[0].value))
    told = {"tags": tuple(tags), "rules": tuple(matched), "values": values, "near_misses": tuple(near)}
    return msgspec.convert(chosen | told, Verdict)


def facts_of_mail(message: UserMessage, envelope: Envelope, trust: int) -> Facts:
    """What rules may read of a mail; texts are case-folded here, once."""
    sender = message.sender.address if message.sender else ""
    written = (*envelope.forward_paths, *(each.address for each in (*message.to, *message.cc)))
    return {
        "from": canonical(sender),
        "from_domain": domain_of(sender),
        "to": " ".join(dict.fromkeys(canonical(each) for each in written)),
        "subject": message.subject.casefold(),
        "text": message.text[:MAX_TEXT_CHARACTERS].casefold(),
        "kind": message.kind.value,
        "source": envelope.source.casefold(),
        "channel": envelope.channel.value,
        "format": envelope.format,
        "trust": trust,
        "has_attachments": bool(message.attachments),
    }


def facts_of_event(event: MonitoringEvent, envelope: Envelope) -> Facts:
    """What rules may read of a monitoring event; a label that is missing is unknown, not empty."""
    facts: dict[str, str | int | bool] = {
        "kind": "alert",
        "source": event.source.casefold(),
        "severity": event.severity.value,
        "status": event.status.value,
        "title": event.title.casefold(),
        "text": event.text[:MAX_TEXT_CHARACTERS].casefold(),
        "channel": envelope.channel.value,
        "format": envelope.format,
    }
    return facts | {f"{LABEL_PREFIX}{name}": value.casefold() for name, value in event.labels.items()}
