"""Incident or service request, from the rules, else from the words people use; in doubt an incident."""

from functools import lru_cache

import msgspec

from itsm.signal import UserMessage
from itsm.ticket import TicketType
from rules.gist import gist_of, spaced
from rules.ruleset import Verdict
from rules.settings import RulesSettings, Words


class Classification(msgspec.Struct, frozen=True, kw_only=True):
    """The type and why."""

    type: TicketType
    reason: str


def classify(message: UserMessage, verdict: Verdict, settings: RulesSettings) -> Classification:
    """An incident word decides before a request word: who asks for help with something broken has an incident."""
    if verdict.type is not None:
        return Classification(type=TicketType(verdict.type), reason=f"A rule makes it a {verdict.type}.")
    text = gist_of(message).words
    broken = _first(settings.incident_words, text)
    if broken:
        return Classification(type=TicketType.INCIDENT, reason=f"The words {broken!r} speak for an incident.")
    wanted = _first(settings.request_words, text)
    if wanted:
        return Classification(type=TicketType.SERVICE_REQUEST, reason=f"The words {wanted!r} speak for a service request.")
    return Classification(type=TicketType.INCIDENT, reason="No word speaks for a request, so it is an incident.")


def _first(words: Words, text: str) -> str | None:
    return next((word for word, needle in _needles(words) if needle in text), None)


@lru_cache(maxsize=8)
def _needles(words: Words) -> tuple[tuple[str, str], ...]:
    """Each of the words with what to look for: whole words, or with a `*` at the end words that begin so."""
    found = ((word, spaced(word)) for word in words)
    return tuple((word, needle.rstrip() if word.endswith("*") else needle) for word, needle in found if needle != " ")
