"""May this mail be acknowledged? RFC 3834 sentence by sentence, then the budgets, which fail closed."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from itsm.address import canonical, domain_of
from itsm.decision import SpendBudget
from itsm.envelope import Envelope
from itsm.signal import MailKind, UserMessage
from rules.ruleset import Verdict
from rules.settings import RulesSettings

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class BudgetKey(msgspec.Struct, frozen=True, kw_only=True):
    """One budget in its present window."""

    key: str
    window_start: datetime
    limit: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to acknowledge, why (not), and what it costs."""

    send: bool
    because: str
    spend: tuple[SpendBudget, ...] = ()


def budget_keys(address: str, settings: RulesSettings, now: datetime) -> tuple[BudgetKey, ...]:
    """The budgets an automatic answer to this address draws on, in fixed windows: all must have one left."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    minute = now.replace(second=0, microsecond=0)
    sender, budgets = canonical(address), settings.budgets
    return (
        BudgetKey(key=f"answer/address/{sender}", window_start=hour, limit=budgets.per_address_hour),
        BudgetKey(key=f"answer/domain/{domain_of(sender)}", window_start=minute, limit=budgets.per_domain_minute),
        BudgetKey(key="answer/all", window_start=minute, limit=budgets.total_minute),
    )


def notice_key(sender: str, settings: RulesSettings, now: datetime) -> BudgetKey:
    """The budget of the notices to teams that mails of this sender cause."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return BudgetKey(key=f"notice/sender/{canonical(sender)}", window_start=hour, limit=settings.budgets.notices_per_sender_hour)


def every_key(sender: str, settings: RulesSettings, now: datetime) -> tuple[BudgetKey, ...]:
    """All budgets that the decision on a mail of this sender may draw on."""
    return (*budget_keys(sender, settings, now), notice_key(sender, settings, now))


def acknowledgement(
    message: UserMessage,
    envelope: Envelope,
    *,
    trust: int,
    verdict: Verdict,
    budgets_used: Mapping[tuple[str, datetime], int],
    settings: RulesSettings,
    our_addresses: frozenset[str],
    now: datetime,
) -> Answer:
    """Judge one acknowledgement; the first reason against it is the one that is told."""
    against = _against(message, envelope, trust, verdict, settings, our_addresses)
    if against is not None or message.sender is None:
        return Answer(send=False, because=against or "Not acknowledged: no usable From address.")
    keys = budget_keys(message.sender.address, settings, now)
    for each in keys:
        if budgets_used.get((each.key, each.window_start), 0) >= each.limit:
            return Answer(send=False, because=f"Not acknowledged: the budget {each.key.partition('/')[2].partition('/')[0]} is used up.")
    spend = tuple(SpendBudget(key=each.key, window_start=each.window_start, limit=each.limit) for each in keys)
    return Answer(send=True, because="Acknowledged.", spend=spend)


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
