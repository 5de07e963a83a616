"""Typed predicates over declared fields, compiled to closures that say what they read (ADR-0006)."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

TEXT_FIELDS = frozenset(
    {"from", "from_domain", "to", "subject", "text", "kind", "source", "severity", "status", "title", "channel", "format"}
)
NUMBER_FIELDS = frozenset({"trust"})
FLAG_FIELDS = frozenset({"has_attachments"})
FIELDS = TEXT_FIELDS | NUMBER_FIELDS | FLAG_FIELDS
LABEL_PREFIX = "labels."
PREDICATES = ("equals", "in", "contains", "starts", "has")
GROUPS = ("any", "all", "not")
MAX_DEPTH = 8

Facts = Mapping[str, str | int | bool]  # texts are case-folded once, by the maker of the facts
Truth = bool | None  # None: unknown, because a field is missing; an unknown condition does not match


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluated predicate: its words and the value it read ("" when missing)."""

    predicate: str
    field: str
    value: str
    truth: Truth


Condition = Callable[[Facts, list[Check]], Truth]


class PredicateError(ValueError):
    """A condition that cannot be compiled; the message says which and what to write instead."""


def compile_condition(when: Mapping[str, Any], depth: int = 0) -> Condition:
    """The condition of a `when` table: all of its members hold. Raises PredicateError."""
    if depth > MAX_DEPTH:
        raise PredicateError(f"conditions are nested deeper than {MAX_DEPTH}")
    members = [_member(name, value, depth) for name, value in when.items()]
    return _all(members)


def _member(name: str, value: Any, depth: int) -> Condition:
    if name in GROUPS:
        return _group(name, value, depth)
    if name not in FIELDS and not (name.startswith(LABEL_PREFIX) and len(name) > len(LABEL_PREFIX)):
        raise PredicateError(f"unknown field {name!r}{_nearest(name, [*FIELDS, *GROUPS])}")
    if not isinstance(value, dict):
        return _predicate(name, "equals", value)
    return _all([_predicate(name, predicate, argument) for predicate, argument in value.items()])


def _group(name: str, value: Any, depth: int) -> Condition:
    if name == "not":
        if not isinstance(value, dict):
            raise PredicateError("`not` takes one table of conditions")
        return _not(compile_condition(value, depth + 1))
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        raise PredicateError(f"`{name}` takes a list of tables of conditions")
    members = [compile_condition(each, depth + 1) for each in value]
    return _all(members) if name == "all" else _any(members)


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _all(members: list[Condition]) -> Condition:
    def check(facts: Facts, trace: list[Check]) -> Truth:
        truth: Truth = True
        for member in members:  # all are tried, so that a near miss can be counted
            one = member(facts, trace)
            truth = False if one is False or truth is False else (None if one is None or truth is None else True)
        return truth

    return check


def _any(members: list[Condition]) -> Condition:
    def check(facts: Facts, trace: list[Check]) -> Truth:
        truth: Truth = False
        for member in members:
            one = member(facts, trace)
            truth = True if one or truth else (None if one is None or truth is None else False)
        return truth

    return check


def _not(member: Condition) -> Condition:
    def check(facts: Facts, trace: list[Check]) -> Truth:
        one = member(facts, trace)
        return None if one is None else not one

    return check


def _predicate(field: str, predicate: str, argument: Any) -> Condition:
    if predicate not in PREDICATES:
        raise PredicateError(f"unknown predicate {predicate!r} for field {field!r}{_nearest(predicate, list(PREDICATES))}")
    words = f"{field} {predicate} {argument!r}"
    test = _test(field, predicate, argument)

    def check(facts: Facts, trace: list[Check]) -> Truth:
        value = facts.get(field)
        truth: Truth = (value is not None) is argument if predicate == "has" else (None if value is None else test(value))
        trace.append(Check(predicate=words, field=field, value="" if value is None else str(value)[:200], truth=truth))
        return truth

    return check


def _test(field: str, predicate: str, argument: Any) -> Callable[[Any], bool]:
    if predicate == "has":
        if not isinstance(argument, bool):
            raise PredicateError(f"`has` for field {field!r} takes true or false")
        return bool
    if predicate == "in":
        if not isinstance(argument, list) or not argument:
            raise PredicateError(f"`in` for field {field!r} takes a list of values")
        options = frozenset(_argument(field, each) for each in argument)
        return lambda value: value in options
    wanted = _argument(field, argument)
    if predicate == "equals":
        return lambda value: bool(value == wanted)
    if not isinstance(wanted, str):
        raise PredicateError(f"`{predicate}` is for text, and field {field!r} is not text")
    text = wanted
    if predicate == "contains":
        return lambda value: text in value
    return lambda value: bool(value.startswith(text))


def _argument(field: str, value: Any) -> str | int | bool:
    """The argument in the field's type, texts case-folded like the facts."""
    kind: type = bool if field in FLAG_FIELDS else int if field in NUMBER_FIELDS else str
    if type(value) is not kind:
        names = {str: "text", int: "a number", bool: "true or false"}
        raise PredicateError(f"field {field!r} is {names[kind]}, not {value!r}")
    return value.casefold() if isinstance(value, str) else int(value) if kind is int else bool(value)
