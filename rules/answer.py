"""May this mail be acknowledged? RFC 3834 sentence by sentence, then the budgets, which fail closed."""

from datetime import datetime

import msgspec

from itsm.address import canonical, domain_of
from itsm.decision import SpendBudget
from itsm.envelope import Envelope
from itsm.signal import MailKind, UserMessage
from rules.budget import BudgetKey, Used, budget_keys, words_key
from rules.ruleset import Verdict
from rules.settings import RulesSettings

HAS_NUMBER = "Not acknowledged: its subject has the number of a ticket that its sender has already."


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
    answers_us: bool = False,
    has_number: bool = False,
) -> Answer:
    """Judge one acknowledgement; the first reason against it is the one that is told.

    `answers_us` tells that the mail names a ticket or a mail of ours, `has_number` that its subject names one of its sender.
    """
    against = _against(message, envelope, trust, verdict, settings, our_addresses)
    if against is None and has_number:
        against = HAS_NUMBER
    if against is not None or message.sender is None:
        return Answer(send=False, because=against or "Not acknowledged: no usable From address.")
    keys: tuple[BudgetKey, ...] = budget_keys(message.sender.address, settings, now)
    if answers_us:
        keys = (*keys, words_key(message, settings, now, kind="answer"))
    for each in keys:
        if each.used_up(budgets_used):
            return Answer(send=False, because=f"Not acknowledged: the budget {each.key.partition('/')[2].partition('/')[0]} is used up.")
    return Answer(send=True, because="Acknowledged.", spend=tuple(each.spend() for each in keys))


def _against(
    message: UserMessage, envelope: Envelope, trust: int, verdict: Verdict, settings: RulesSettings, our_addresses: frozenset[str]
) -> str | None:
    if message.sender is None or not domain_of(message.sender.address):
        return "Not acknowledged: no usable From address."
    if envelope.reverse_path == "":  # RFC 3834 4: an answer would have nowhere to go
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
