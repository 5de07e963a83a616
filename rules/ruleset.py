"""Ordered rules, compiled once: each that matches applies, the first that sets a field wins it (design 4)."""

import hashlib

import msgspec

from itsm.address import canonical, domain_of
from itsm.decision import MAX_NEAR_MISSES, NearMiss
from itsm.envelope import Envelope
from itsm.person import Person
from itsm.signal import MonitoringEvent, UserMessage
from rules.extraction import CompiledExtraction, compile_extractions
from rules.predicate import LABEL_PREFIX, Check, Condition, Facts, Predicate, PredicateError, Value, compile_condition, folded, size_of
from rules.settings import Rule, RulesSettings

MAX_TEXT_CHARACTERS = 65536  # of a mail's text that rules look at
MAX_PREDICATES = 5_000  # of a ruleset: with the characters they look at, the bound of what one mail may cost (F68)
SETTABLE = ("type", "impact", "urgency", "priority", "service", "team", "suppress", "acknowledge")
GATES = ("source", "kind", "format", "channel")  # a rule for another of these is not tried at all, and never a near miss


class RuleError(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that cannot be used: its place in the list, its key, and what is wrong."""

    index: int
    rule: str
    message: str


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with its conditions, which must all hold."""

    rule: Rule
    conditions: tuple[Condition, ...]


class Ruleset(msgspec.Struct, frozen=True, kw_only=True):
    """Rules ready to judge; `sha256` names this version in every reason.

    `gated` holds the places of the rules that ask for one value of a gate, by (gate, value); `ungated` those of the others.
    """

    settings: RulesSettings
    sha256: str
    compiled: tuple[Compiled, ...] = ()
    gated: dict[tuple[str, Value], tuple[int, ...]] = {}
    ungated: tuple[int, ...] = ()
    extractions: tuple[CompiledExtraction, ...] = ()


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
            compiled.append(Compiled(rule=rule, conditions=compile_condition(rule.when)))
        except PredicateError as error:
            errors.append(RuleError(index=index, rule=rule.key, message=str(error)))
    predicates = sum(size_of(condition) for each in compiled for condition in each.conditions)
    if predicates > MAX_PREDICATES:
        errors.append(
            RuleError(index=-1, rule="rule", message=f"the rules have {predicates} predicates, at most {MAX_PREDICATES} are judged")
        )
    extractions, wrong = compile_extractions(settings.extraction)
    errors += [RuleError(index=-1, rule="extraction", message=message) for message in wrong]
    if not _monotone(settings.priority):
        errors.append(RuleError(index=-1, rule="priority", message="the priority matrix must not fall as impact or urgency fall"))
    digest = hashlib.sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()
    gated, ungated = _by_gate(compiled)
    return Ruleset(
        settings=settings, sha256=digest, compiled=tuple(compiled), gated=gated, ungated=ungated, extractions=extractions
    ), tuple(errors)


def _by_gate(compiled: list[Compiled]) -> tuple[dict[tuple[str, Value], tuple[int, ...]], tuple[int, ...]]:
    """Where the rules stand, by the values of the first gate each asks for."""
    gated: dict[tuple[str, Value], tuple[int, ...]] = {}
    ungated: list[int] = []
    for place, each in enumerate(compiled):
        asked = {one.field: one.options for one in each.conditions if isinstance(one, Predicate) and one.options}
        gate = next((name for name in GATES if name in asked), None)
        if gate is None:
            ungated.append(place)
            continue
        for option in asked[gate]:
            gated[gate, option] = (*gated.get((gate, option), ()), place)
    return gated, tuple(ungated)


def _monotone(matrix: tuple[tuple[int, ...], ...]) -> bool:
    values = all(1 <= value <= 5 for row in matrix for value in row)
    along = all(row[column] <= row[column + 1] for row in matrix for column in range(2))
    down = all(matrix[row][column] <= matrix[row + 1][column] for row in range(2) for column in range(3))
    return values and along and down


def judge(ruleset: Ruleset, facts: Facts) -> Verdict:
    """Apply the rules in order. Cost: linear in the rules whose gate is open; each is left at its second condition that fails."""
    chosen: dict[str, object] = {}
    tags: dict[str, None] = {}
    matched: list[str] = []
    values: dict[str, str] = {}
    near: list[NearMiss] = []
    for place in _candidates(ruleset, facts):
        each = ruleset.compiled[place]
        failed = _failed(each.conditions, facts)
        if failed:
            near += _near_miss(each.rule, failed, facts) if len(near) < MAX_NEAR_MISSES else ()
            continue
        matched.append(each.rule.key)
        values |= {check.field: check.value for condition in each.conditions for check in condition.explain(facts).read}
        for field in SETTABLE:
            value = getattr(each.rule, field)
            if value is not None:
                chosen.setdefault(field, value)
        tags |= dict.fromkeys(each.rule.tags)
        if each.rule.stop:
            break
    told = {"tags": tuple(tags), "rules": tuple(matched), "values": values, "near_misses": tuple(near)}
    return msgspec.convert(chosen | told, Verdict)


def _candidates(ruleset: Ruleset, facts: Facts) -> list[int]:
    """The places of the rules whose gate is open, in order."""
    if not ruleset.gated:
        return list(ruleset.ungated)
    opened = [place for gate in GATES for place in ruleset.gated.get((gate, facts.get(gate, "")), ())]
    return sorted([*ruleset.ungated, *opened])


def _failed(conditions: tuple[Condition, ...], facts: Facts) -> list[Condition]:
    """The conditions that do not hold, at most two: more tell nothing."""
    failed: list[Condition] = []
    for condition in conditions:
        if condition.holds(facts) is not True:
            failed.append(condition)
            if len(failed) == 2:
                break
    return failed


def _near_miss(rule: Rule, failed: list[Condition], facts: Facts) -> tuple[NearMiss, ...]:
    """A rule that one single predicate kept from matching."""
    blamed: tuple[Check, ...] = failed[0].explain(facts).to_true if len(failed) == 1 else ()
    return tuple(NearMiss(rule=rule.key, predicate=each.predicate, value=each.value) for each in blamed) if len(blamed) == 1 else ()


def facts_of_mail(message: UserMessage, envelope: Envelope, trust: int, person: Person | None = None) -> Facts:
    """What rules may read of a mail; texts are case-folded here, once. `person` is who the From address is said to belong to."""
    sender = message.sender.address if message.sender else ""
    written = (*envelope.forward_paths, *(each.address for each in (*message.to, *message.cc)))
    return {
        "from": canonical(sender),
        "from_domain": domain_of(sender),
        "to": tuple(dict.fromkeys(canonical(each) for each in written)),
        "subject": folded(message.subject),
        "text": folded(message.text[:MAX_TEXT_CHARACTERS]),
        "kind": message.kind.value,
        "source": folded(envelope.source),
        "channel": envelope.channel.value,
        "format": envelope.format,
        "trust": trust,
        "has_attachments": bool(message.attachments),
        "requester.vip": person is not None and person.vip,
        "requester.organisation": folded(person.organisation) if person is not None else "",
        "requester.language": folded(person.language) if person is not None else "",
        "requester.time_zone": folded(person.time_zone) if person is not None else "",
    }


def facts_of_event(event: MonitoringEvent, envelope: Envelope) -> Facts:
    """What rules may read of a monitoring event; a label that is missing is unknown, not empty."""
    facts: dict[str, Value] = {
        "kind": "alert",
        "source": folded(event.source),
        "severity": event.severity.value,
        "status": event.status.value,
        "title": folded(event.title),
        "text": folded(event.text[:MAX_TEXT_CHARACTERS]),
        "channel": envelope.channel.value,
        "format": envelope.format,
    }
    return facts | {f"{LABEL_PREFIX}{name}": folded(value) for name, value in event.labels.items()}
