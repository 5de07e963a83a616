"""F09, F68: an input that brings a child down, and a rule that costs too much or trips: set aside, and the rest flows."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta

import pytest

from casework import handle
from intake.worker import Triage
from itsm.decision import MAX_NEAR_MISSES
from itsm.signal import UserMessage
from rules import ruleset
from rules.ruleset import MAX_TEXT_CHARACTERS, compile_ruleset, facts_of_mail, judge
from rules.settings import Rule, RulesSettings
from store import inbox
from tests.casework.desks import TestDesk
from tests.rules import worlds
from triaged.children import ChildPool

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])
POISONED = {"parse": "tests.reliability.poison:parse_one"}
ROUNDS = 12  # of the worker: more than the attempts, each a second apart on the desk's clock


@WITH_AND_WITHOUT
def test_a_mail_that_kills_every_child_is_quarantined_alone_and_the_rest_flows(
    desk: TestDesk, mail: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:
        monkeypatch.setattr(inbox, "MAX_ATTEMPTS", 10**9)
    desk.put(mail("before"))
    poison = desk.put(mail("poison", text="POISON"))
    desk.put(mail("after"))

    async def work() -> None:
        pool = ChildPool(1, functions=POISONED)
        try:
            triage = Triage(desk.store, run_batch=pool.run_batch, casework=lambda: desk.casework, mappings=dict, on_outgoing=lambda: None)
            for _ in range(ROUNDS):
                await triage.once()
                desk.time += timedelta(minutes=1)
        finally:
            await pool.close()

    asyncio.run(work())
    assert (len(desk.tickets()) == 2) is defended  # without it the poison also starves what comes after it
    row = desk.inbox(poison)
    assert row is not None
    assert (row.state == inbox.QUARANTINED) is defended
    if defended:
        assert row.reason == "the parser crashed or took too long"
        assert desk.store.write(lambda tx: inbox.retry(tx, poison)).result(10)  # it can be tried again


class Counted(str):
    """A text that counts the characters rules look at."""

    __slots__ = ()
    looked_at = 0

    def __contains__(self, wanted: object) -> bool:
        Counted.looked_at += len(self)
        return str.__contains__(self, wanted)  # type: ignore[operator]  # as str does


@WITH_AND_WITHOUT
def test_what_rules_look_at_of_a_mail_is_bounded(monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    monkeypatch.setattr(ruleset, "folded", Counted)
    monkeypatch.setattr(Counted, "looked_at", 0)
    if not defended:
        monkeypatch.setattr(ruleset, "MAX_TEXT_CHARACTERS", 10**9)
    rules = [Rule(key=f"r{at}", when={"text": {"contains": f"needle {at}"}}) for at in range(100)]
    compiled, errors = compile_ruleset(RulesSettings(rule=tuple(rules)))
    assert errors == ()
    verdict = judge(compiled, facts_of_mail(worlds.mail(text="x" * 500_000), worlds.envelope(), 0))
    assert verdict.rules == ()
    assert (Counted.looked_at <= (len(rules) + 2 * MAX_NEAR_MISSES) * MAX_TEXT_CHARACTERS) is defended


@WITH_AND_WITHOUT
def test_a_ruleset_of_too_many_predicates_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    monkeypatch.setattr(ruleset, "MAX_PREDICATES", 6 if defended else 10**9)
    group = {"any": [{"text": {"contains": "a"}}, {"not": {"subject": {"starts": "b"}}}], "all": [{"kind": "human"}]}
    rules = (Rule(key="one", when=group), Rule(key="two", when=group | {"from": "x@y"}))
    errors = [error.message for error in compile_ruleset(RulesSettings(rule=rules))[1]]
    assert (errors == ["the rules have 7 predicates, at most 6 are judged"]) is defended


@WITH_AND_WITHOUT
def test_a_rule_that_trips_sets_its_mail_aside_and_the_next_mail_is_triaged(
    desk: TestDesk, mail: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    decide = handle.decide_mail

    def trips(message: UserMessage, *rest: object, **more: object) -> object:
        if message.subject == "odd":
            raise ZeroDivisionError
        return decide(message, *rest, **more)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(handle, "decide_mail", trips)
    if not defended:

        async def gives_up(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(Triage, "_fail", gives_up)
    odd = desk.put(mail("odd", "odd"))
    desk.put(mail("good"))
    for _ in range(ROUNDS):
        with contextlib.suppress(ZeroDivisionError):
            desk.triage()
        desk.time += timedelta(minutes=1)
    assert (len(desk.tickets()) == 1) is defended
    row = desk.inbox(odd)
    assert row is not None
    assert (row.state == inbox.QUARANTINED) is defended
