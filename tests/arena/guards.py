"""The guards against loops: how each is switched off, and the pair that only it brings to rest."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

import intake.mail.kind
import intake.mail.parse
import rules.answer
import rules.mail
import rules.opening
from rules.threading import Match, Strength
from tests.arena.responders import WIDE, Make


class Guard(NamedTuple):
    """A guard: the pair that needs it, how it is switched off, and how many mails a side the pair may cost with it."""

    pair: Make
    off: Callable[[Any], None] = lambda patch: None
    budget: str = ""
    bound: int = 3
    rate: str = "at once"
    rounds: int = 6


def blind(**signs):
    """The signs of a mail read as if it had none of these."""
    read = intake.mail.parse.signs_of
    return lambda patch: patch.setattr(intake.mail.parse, "signs_of", lambda *given: msgspec.structs.replace(read(*given), **signs))


def told(**facts):
    """An acknowledgement judged as if these did not hold."""
    judge = rules.answer.acknowledgement
    return lambda patch: patch.setattr(rules.opening, "acknowledgement", lambda *given, **named: judge(*given, **(named | facts)))


def no_null_path(patch):
    blind(null_path=False)(patch)
    patch.setattr(rules.answer, "is_null", lambda envelope: False)


def never(module, name):
    return lambda patch: patch.setattr(module, name, lambda *_: False)


GUARDS = {
    "Auto-Submitted is read": Guard(Make(headers="marked"), blind(automatic="")),
    "Precedence and list fields are read": Guard(Make(headers="bulk"), never(intake.mail.kind, "_is_list")),
    "fields of old responders are read": Guard(Make(headers="old"), never(intake.mail.kind, "_answers_by_itself")),
    "X-Auto-Response-Suppress is read": Guard(Make(headers="silencing"), never(intake.mail.kind, "_asks_for_silence")),
    "the mark of another desk is read": Guard(
        Make(headers="another desk's"), lambda patch: patch.setattr(intake.mail.kind, "LOOP_MARK", "x-none")
    ),
    "a null reverse-path is not answered": Guard(Make(envelope="null"), no_null_path),
    "subjects of responders are known": Guard(
        Make(subject="vacation"), lambda patch: patch.setattr(intake.mail.kind, "_VACATION_SUBJECT", re.compile("(?!)"))
    ),
    "addresses nobody reads are known": Guard(
        Make(address="silent"), lambda patch: patch.setattr(intake.mail.kind, "SILENT", frozenset())
    ),
    "our own addresses are not answered": Guard(Make(address="ours"), told(our_addresses=frozenset())),
    "a reply goes to its ticket": Guard(
        Make(headers="threaded", address="same"),
        lambda patch: patch.setattr(rules.mail, "match", lambda snapshot, trust: Match(strength=Strength.NONE)),
    ),
    "who has the number gets no other": Guard(Make(subject="number", address="same"), told(has_number=False)),
    "a chain of strangers who name tickets": Guard(Make(subject="number"), told(chained=False), rate="slow"),
    "a text that comes again": Guard(Make(address="detail", words="same"), budget="same_mail_week", rate="slow"),
    "a budget an address": Guard(Make(address="same"), budget="per_address_hour", bound=10, rounds=15),
    "a budget a domain": Guard(Make(), budget="per_domain_minute", bound=10, rounds=15),
}  # fmt: skip
BUDGETS_OF_OTHERS = {"per_address_hour": WIDE, "per_domain_minute": WIDE, "notices_per_sender_hour": WIDE, "per_ticket_hour": WIDE}
