"""The budgets that end loops and floods, by their keys; each is a row that is spent under a condition, so it fails closed.

Headers tell of a responder that keeps RFC 3834. These hold against the others: by address, by domain, by ticket, and by what
is said, since a responder that changes its address and drops the thread says the same again (attacks A16, A19, A20).
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from itsm.address import canonical, domain_of
from itsm.decision import Decision, SpendBudget
from itsm.signal import UserMessage
from rules.gist import gist_of
from rules.settings import RulesSettings

Used = Mapping[tuple[str, datetime], int]
_DIGIT = re.compile(r"\d")


class BudgetKey(msgspec.Struct, frozen=True, kw_only=True):
    """One budget in its present window."""

    key: str
    window_start: datetime
    limit: int

    def used_up(self, used: Used) -> bool:
        """Whether nothing is left of it."""
        return used.get((self.key, self.window_start), 0) >= self.limit

    def spend(self) -> SpendBudget:
        """Take one from it."""
        return SpendBudget(key=self.key, window_start=self.window_start, limit=self.limit)


def budget_keys(address: str, settings: RulesSettings, now: datetime) -> tuple[BudgetKey, ...]:
    """The budgets an automatic answer to this address draws on, in fixed windows: all must have one left."""
    sender, budgets = canonical(address), settings.budgets
    return (
        BudgetKey(key=f"answer/address/{sender}", window_start=_hour(now), limit=budgets.per_address_hour),
        BudgetKey(key=f"answer/domain/{domain_of(sender)}", window_start=_minute(now), limit=budgets.per_domain_minute),
        BudgetKey(key="answer/all", window_start=_minute(now), limit=budgets.total_minute),
    )


def words_key(message: UserMessage, settings: RulesSettings, now: datetime) -> BudgetKey:
    """The budget of notices that the same words of one domain cause; numbers in them do not count."""
    domain = domain_of(message.sender.address) if message.sender else ""
    key = f"notice/words/{domain.casefold()}/{gist_of(message).new_said}"
    return BudgetKey(key=key, window_start=_day(now), limit=settings.budgets.same_words_day)


def repeat_keys(message: UserMessage, settings: RulesSettings, now: datetime) -> tuple[BudgetKey, BudgetKey]:
    """The budget of answers to mails that say the same, of this week and of the last: whoever answers us by a text of theirs repeats it.

    The same is: one address without its plus-detail, one subject, one text, whatever their numbers, dates and case identifiers are.
    """
    local, _, domain = canonical(message.sender.address if message.sender else "").rpartition("@")
    week = _day(now) - timedelta(days=now.weekday())
    key = BudgetKey(
        key=f"answer/repeat/{local.partition('+')[0]}@{domain}/{gist_of(message).said}",
        window_start=week,
        limit=settings.budgets.same_mail_week,
    )
    return key, msgspec.structs.replace(key, window_start=week - timedelta(days=7))


def notice_key(sender: str, settings: RulesSettings, now: datetime) -> BudgetKey:
    """The budget of the notices to teams that mails of this sender cause."""
    return BudgetKey(key=f"notice/sender/{canonical(sender)}", window_start=_hour(now), limit=settings.budgets.notices_per_sender_hour)


def ticket_key(ticket_id: int, settings: RulesSettings, now: datetime) -> BudgetKey:
    """The budget of the automatic mails that mails on one ticket cause, whoever sends them."""
    return BudgetKey(key=f"notice/ticket/{ticket_id}", window_start=_hour(now), limit=settings.budgets.per_ticket_hour)


def reopen_key(ticket_id: int, settings: RulesSettings, now: datetime) -> BudgetKey:
    """The budget of the times that mails reopen one ticket."""
    return BudgetKey(key=f"reopen/ticket/{ticket_id}", window_start=_day(now), limit=settings.budgets.reopens_per_day)


def breaker_keys(tripped: BudgetKey, settings: RulesSettings, now: datetime) -> tuple[BudgetKey, ...]:
    """What an incident about a budget that was used up draws on: one a day for each such budget, and few in all."""
    return (
        BudgetKey(key=f"breaker/{tripped.key}", window_start=_day(now), limit=1),
        BudgetKey(key="breaker", window_start=_day(now), limit=settings.budgets.loop_incidents_per_day),
    )


def every_key(
    messages: Iterable[UserMessage], ticket_ids: Iterable[int], settings: RulesSettings, now: datetime
) -> set[tuple[str, datetime]]:
    """All budgets, with their windows, that the decisions on these mails may draw on; `ticket_ids` are those they may lead to."""
    found: list[BudgetKey] = []
    guards = [key for each in ticket_ids for key in ticket_keys(each, settings, now)]
    for message in messages:
        sender = message.sender.address if message.sender else ""
        found += budget_keys(sender, settings, now)
        guards.append(notice_key(sender, settings, now))
        found += repeat_keys(message, settings, now)
        if message.in_reply_to or message.references or _DIGIT.search(message.subject):  # else it names nothing of ours
            found.append(words_key(message, settings, now))
    for guard in {each.key: each for each in guards}.values():  # the windows of one instant: a key has one
        found += breaker_keys(guard, settings, now)
    return {(each.key, each.window_start) for each in (*found, *guards)}


def ticket_keys(ticket_id: int, settings: RulesSettings, now: datetime) -> tuple[BudgetKey, ...]:
    """The budgets of one ticket."""
    return ticket_key(ticket_id, settings, now), reopen_key(ticket_id, settings, now)


def loop_keys(sender: str, ticket_ids: Iterable[int], settings: RulesSettings, now: datetime) -> tuple[BudgetKey, ...]:
    """The budgets that only a loop uses up: when one of them is, people are told."""
    return (notice_key(sender, settings, now), *(key for each in ticket_ids for key in ticket_keys(each, settings, now)))


def spending_told(decision: Decision, used: Used) -> Decision:
    """The decision with what it takes from budgets among its reasons, as the trace shows it: each budget, how far it is used, its limit."""
    spent = [each for each in decision.effects if isinstance(each, SpendBudget)]
    if not spent:
        return decision
    told = "; ".join(f"{each.key} {used.get((each.key, each.window_start), 0) + 1} of {each.limit}" for each in spent)
    reasons = msgspec.structs.replace(decision.reasons, values=decision.reasons.values | {"budgets": told})
    return msgspec.structs.replace(decision, reasons=reasons)


# The mails of a batch have one instant: they share its windows, whose hashes are then known.
@lru_cache(maxsize=64)
def _minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0)


@lru_cache(maxsize=64)
def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


@lru_cache(maxsize=64)
def _day(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
