"""F63, F65: what is the same is answered as before, what only looks the same is not merged."""

import asyncio
from collections.abc import Callable

import pytest

from intake.accept import Acceptor, Arrival
from itsm.envelope import Channel
from itsm.errors import Conflict
from rules import mail as rules_of_mail
from rules.sameness import Judgement, Sameness
from store import idempotency, inbox
from tests.casework.desks import TestDesk

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])


@WITH_AND_WITHOUT
def test_another_mail_under_a_message_id_that_was_used_is_not_swallowed(
    desk: TestDesk, mail: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:  # the Message-ID alone decides
        monkeypatch.setattr(
            rules_of_mail,
            "same",
            lambda _message, _people, seen, _at: Judgement(
                sameness=Sameness.SAME if seen else Sameness.NEW, earlier=seen[0] if seen else None
            ),
        )
    desk.put(mail("id", "Printer jams", "first"))
    desk.triage()
    desk.put(mail("id", "Salary", "second, of somebody else", sender="Bo <bo@x.example>"), sender="bo@x.example")
    desk.triage()
    texts = [entry.text for ticket in desk.tickets() for entry in desk.entries(ticket)]
    assert any("second" in text for text in texts) is defended
    assert (len(desk.tickets()) == 2) is defended


@WITH_AND_WITHOUT
def test_a_mail_without_message_id_is_known_by_its_content_for_half_an_hour(
    desk: TestDesk, mail: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:
        monkeypatch.setattr(rules_of_mail, "same", lambda *_: Judgement(sameness=Sameness.NEW))
    for later in (0, 60):
        desk.put(mail("", "No id", "the same words"), later=later)
        desk.triage()
    assert (len(desk.tickets()) == 1) is defended
    desk.put(mail("", "No id", "other words"))
    desk.triage()
    assert len(desk.tickets()) == (2 if defended else 3)


def arrival(body: bytes) -> Arrival:
    return Arrival(channel=Channel.HTTP, source="generic", body=body, format="generic", idempotency_key=("hooks/generic", "delivery-1"))


@WITH_AND_WITHOUT
def test_a_delivery_whose_answer_was_lost_gets_the_same_answer_and_other_bytes_under_its_id_a_conflict(
    desk: TestDesk, monkeypatch: pytest.MonkeyPatch, defended: bool
) -> None:
    if not defended:
        monkeypatch.setattr(idempotency, "first_answer", lambda *_, **__: None)
        monkeypatch.setattr(idempotency, "remember", lambda *_, **__: None)

    async def work() -> list[object]:
        acceptor = Acceptor(desk.store, wake=lambda: None, pending_limit=1000, minimum_free_bytes=0)
        first = await acceptor.accept(arrival(b'{"title":"disk full"}'))
        again = await acceptor.accept(arrival(b'{"title":"disk full"}'))
        try:
            other = (await acceptor.accept(arrival(b'{"title":"another"}'))).repeated
        except Conflict as error:
            other = error.status
        return [first.inbox_id == again.inbox_id, again.repeated, other]

    assert asyncio.run(work()) == ([True, True, 409] if defended else [False, False, False])
    assert desk.store.read(lambda tx: inbox.depth(tx, inbox.PENDING)).count == (1 if defended else 3)
