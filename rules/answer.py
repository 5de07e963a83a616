"""May this mail be acknowledged? RFC 3834 sentence by sentence, then the budgets, which fail closed."""

from datetime import datetime

import msgspec

from itsm.address import canonical, domain_of
from itsm.decision import SpendBudget
from itsm.envelope import Envelope
from itsm.signal import MailKind, UserMessage
from rules.budget import Used, budget_keys, repeat_keys
from rules.ruleset import Verdict
from rules.settings import RulesSettings

HAS_NUMBER = "Not acknowledged: its subject has the number of a ticket that its sender has already."
CHAINED = "Not acknowledged: it names a ticket that was opened by a mail which named one, and neither sender was on it."
SAID_BEFORE = "Not acknowledged: its sender was answered when they wrote the same before."


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to acknowledge, why (not), and what it costs."""

    send: bool
    because: str
    spend: tuple[SpendBudget, ...] = ()


def acknowledgement(
    message: UserMessage,
    envelope: Envelope,
    *,
    trust: int,
    verdict: Verdict,
    budgets_used: Used,
    settings: RulesSettings,
    our_addresses: frozenset[str],
    now: datetime,
    has_number: bool = False,
    chained: bool = False,
    commanded: bool = False,
) -> Answer:
    """Judge one acknowledgement; the first reason against it is the one that is told.

    `has_number` tells that its subject names a ticket of its sender, `chained` that it names one which came of a mail like it,
    `commanded` that its sender asked for the answer by a command, which people write in the same words each time.
    """
    against = _against(message, envelope, trust, verdict, settings, our_addresses)
    if against is None and (has_number or chained):
        against = HAS_NUMBER if has_number else CHAINED
    if against is not None:
        return Answer(send=False, because=against)
    assert message.sender is not None, "a mail without a sender has a reason against it"
    keys = budget_keys(message.sender.address, settings, now)
    for each in keys:
        if each.used_up(budgets_used):
            return Answer(send=False, because=f"Not acknowledged: the budget {each.key.partition('/')[2].partition('/')[0]} is used up.")
    repeats = () if commanded else repeat_keys(message, settings, now)
    if any(each.used_up(budgets_used) for each in repeats):
        return Answer(send=False, because=SAID_BEFORE)
    keys = (*keys, *repeats[:1])
    return Answer(send=True, because="Acknowledged.", spend=tuple(each.spend() for each in keys))


def is_null(envelope: Envelope) -> bool:
    """Whether the mail came with the null reverse-path: an answer would have nowhere to go (RFC 3834 4)."""
    return envelope.reverse_path == ""


def _against(
    message: UserMessage, envelope: Envelope, trust: int, verdict: Verdict, settings: RulesSettings, our_addresses: frozenset[str]
) -> str | None:
    if message.sender is None or not domain_of(message.sender.address):
        return "Not acknowledged: no usable From address."
    if is_null(envelope):
        return "Not acknowledged: null reverse-path (RFC 3834 2)."
    if message.unanswerable is not None:
        return f"Not acknowledged: {message.unanswerable}."
    if message.kind is not MailKind.HUMAN:
        return f"Not acknowledged: {message.kind.value} mail."
    if canonical(message.sender.address) in our_addresses:
        return "Not acknowledged: one of our own addresses."
    if verdict.acknowledge is False:
        return "Not acknowledged: a rule says so."
    if settings.known_only and trust < 1:
        return "Not acknowledged: the sender is not authenticated, and known_only is set."
    return None
