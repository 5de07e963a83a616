"""Typed predicates over declared fields (ADR-0006): a tree that is judged quickly, and explained when somebody asks why."""

import difflib
import operator
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

MANY_FIELDS = frozenset({"to"})  # a predicate on one of these holds when it holds for one of its values
REQUESTER_TEXTS = frozenset({"requester.organisation", "requester.language", "requester.time_zone"})
TEXT_FIELDS = (
    MANY_FIELDS
    | {"from", "from_domain", "subject", "text", "kind", "source", "severity", "status", "title", "channel", "format"}
    | REQUESTER_TEXTS
)
NUMBER_FIELDS = frozenset({"trust"})
FLAG_FIELDS = frozenset({"has_attachments", "requester.vip"})
FIELDS = TEXT_FIELDS | NUMBER_FIELDS | FLAG_FIELDS
LABEL_PREFIX = "labels."
PREDICATES = ("equals", "in", "contains", "starts", "has")
GROUPS = ("any", "all", "not")
MAX_DEPTH = 8
MAX_VALUE_CHARACTERS = 200  # of a value that was read, in the reasons

Value = str | int | bool | tuple[str, ...]
Facts = Mapping[str, Value]  # texts are folded once, by the maker of the facts
Truth = bool | None  # None: unknown, because a field is missing; what is unknown does not match, and neither does its `not`


class PredicateError(ValueError):
    """A condition that cannot be compiled; the message says which and what to write instead."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One predicate that was looked at: its words and the value it read ("" when missing)."""

    predicate: str
    field: str
    value: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a condition read, and the smallest set of its predicates that would have to come out otherwise to make it true or false."""

    read: tuple[Check, ...]
    to_true: tuple[Check, ...]
    to_false: tuple[Check, ...]


class Predicate(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one field. `options` are the values `equals` and `in` ask for, none for the others."""

    words: str
    field: str
    test: Callable[[Any], bool]
    missing: Truth = None
    options: frozenset[str | int | bool] = frozenset()

    def holds(self, facts: Facts) -> Truth:
        """Whether the field passes; unknown when it is missing."""
        value = facts.get(self.field)
        return self.missing if value is None else self.test(value)

    def explain(self, facts: Facts) -> Explanation:
        """The one value read; it alone decides."""
        value, truth = facts.get(self.field), self.holds(facts)
        shown = " ".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
        this = (Check(predicate=self.words, field=self.field, value=shown[:MAX_VALUE_CHARACTERS]),)
        return Explanation(read=this, to_true=() if truth else this, to_false=() if truth is False else this)


class Every(msgspec.Struct, frozen=True, kw_only=True):
    """All members hold. One that is false decides, even beside one that is unknown."""

    members: tuple["Condition", ...]

    def holds(self, facts: Facts) -> Truth:
        """False as soon as one is; unknown when one is and none is false."""
        truth: Truth = True
        for member in self.members:
            one = member.holds(facts)
            if one is False:
                return False
            truth = None if one is None else truth
        return truth

    def explain(self, facts: Facts) -> Explanation:
        """Everything that failed must pass; the cheapest member would make it false."""
        told = [member.explain(facts) for member in self.members]
        return Explanation(
            read=tuple(check for each in told for check in each.read),
            to_true=tuple(check for each in told for check in each.to_true),
            to_false=min((each.to_false for each in told), key=len),
        )


class Some(msgspec.Struct, frozen=True, kw_only=True):
    """At least one member holds."""

    members: tuple["Condition", ...]

    def holds(self, facts: Facts) -> Truth:
        """True as soon as one is; unknown when one is and none is true."""
        truth: Truth = False
        for member in self.members:
            one = member.holds(facts)
            if one:
                return True
            truth = None if one is None else truth
        return truth

    def explain(self, facts: Facts) -> Explanation:
        """The cheapest member would make it true; everything that passed would have to fail."""
        told = [member.explain(facts) for member in self.members]
        return Explanation(
            read=tuple(check for each in told for check in each.read),
            to_true=min((each.to_true for each in told), key=len),
            to_false=tuple(check for each in told for check in each.to_false),
        )


class Not(msgspec.Struct, frozen=True, kw_only=True):
    """The member does not hold; unknown stays unknown."""

    member: "Condition"

    def holds(self, facts: Facts) -> Truth:
        """The other truth."""
        one = self.member.holds(facts)
        return None if one is None else not one

    def explain(self, facts: Facts) -> Explanation:
        """The member's explanation with true and false exchanged."""
        told = self.member.explain(facts)
        return Explanation(read=told.read, to_true=_negated(told.to_false), to_false=_negated(told.to_true))


Condition = Predicate | Every | Some | Not


def folded(text: str) -> str:
    """The form texts are compared in: NFC, without case."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def compile_condition(when: Mapping[str, Any], depth: int = 0) -> tuple[Condition, ...]:
    """The conditions of a `when` table, which must all hold; an empty one holds for everything. Raises PredicateError."""
    if depth > MAX_DEPTH:
        raise PredicateError(f"conditions are nested deeper than {MAX_DEPTH}")
    return tuple(condition for name, value in when.items() for condition in _member(name, value, depth))


def size_of(condition: Condition) -> int:
    """How many predicates a condition has: each reads its field once at most when it is judged."""
    match condition:
        case Every(members=members) | Some(members=members):
            return sum(size_of(member) for member in members)
        case Not(member=member):
            return size_of(member)
        case _:
            return 1


def _negated(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    return tuple(Check(predicate=f"not {each.predicate}", field=each.field, value=each.value) for each in checks)


def _member(name: str, value: Any, depth: int) -> tuple[Condition, ...]:
    if name in GROUPS:
        return (_group(name, value, depth),)
    if name not in FIELDS and not (name.startswith(LABEL_PREFIX) and len(name) > len(LABEL_PREFIX)):
        raise PredicateError(f"unknown field {name!r}{_nearest(name, [*FIELDS, *GROUPS])}")
    if not isinstance(value, dict):
        return (_predicate(name, "equals", value),)
    if not value:
        raise PredicateError(f"field {name!r} has no predicate; write one of {', '.join(PREDICATES)}")
    return tuple(_predicate(name, predicate, argument) for predicate, argument in value.items())


def _group(name: str, value: Any, depth: int) -> Condition:
    if name == "not":
        if not isinstance(value, dict) or not value:
            raise PredicateError("`not` takes one table of conditions")
        return Not(member=Every(members=compile_condition(value, depth + 1)))
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) and each for each in value):
        raise PredicateError(f"`{name}` takes a list of tables of conditions")
    members = tuple(Every(members=compile_condition(each, depth + 1)) for each in value)
    return Every(members=members) if name == "all" else Some(members=members)


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _predicate(field: str, predicate: str, argument: Any) -> Predicate:
    words = f"{field} {predicate} {argument!r}"
    match predicate:
        case "equals":
            return _choice(words, field, frozenset({_argument(field, argument)}))
        case "in":
            if not isinstance(argument, list) or not argument:
                raise PredicateError(f"`in` for field {field!r} takes a list of values")
            return _choice(words, field, frozenset(_argument(field, each) for each in argument))
        case "contains" | "starts":
            return Predicate(words=words, field=field, test=_text_test(field, predicate, argument))
        case "has":
            if not isinstance(argument, bool) or field in FLAG_FIELDS:
                raise PredicateError(f"`has` for field {field!r} takes true or false, and is for text")
            return Predicate(words=words, field=field, test=lambda value: (value not in ("", ())) is argument, missing=not argument)
        case _:
            raise PredicateError(f"unknown predicate {predicate!r} for field {field!r}{_nearest(predicate, PREDICATES)}")


def _choice(words: str, field: str, options: frozenset[str | int | bool]) -> Predicate:
    test = (lambda values: not options.isdisjoint(values)) if field in MANY_FIELDS else options.__contains__
    return Predicate(words=words, field=field, test=test, options=options)


def _text_test(field: str, predicate: str, argument: Any) -> Callable[[Any], bool]:
    wanted = _argument(field, argument)
    if not isinstance(wanted, str) or not wanted:
        raise PredicateError(f"`{predicate}` is for text, and needs some; field {field!r}")
    one = operator.contains if predicate == "contains" else str.startswith
    if field in MANY_FIELDS:
        return lambda values: any(one(value, wanted) for value in values)
    return lambda value: one(value, wanted)


def _argument(field: str, value: Any) -> str | int | bool:
    """The argument in the field's type, texts folded like the facts."""
    number, flag = field in NUMBER_FIELDS, field in FLAG_FIELDS
    if isinstance(value, str) and not number and not flag:
        return folded(value)
    if isinstance(value, bool) and flag:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and number:
        return value
    raise PredicateError(f"field {field!r} is {'a number' if number else 'true or false' if flag else 'text'}, not {value!r}")
