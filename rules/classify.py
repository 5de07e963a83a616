"""Incident or service request, from the rules, else from the words people use; in doubt an incident."""

import msgspec

from itsm.signal import UserMessage
from itsm.ticket import TicketType
from rules.ruleset import Verdict
from rules.settings import RulesSettings

MAX_CHARACTERS = 4096


class Classification(msgspec.Struct, frozen=True, kw_only=True):
    """The type and why."""

    type: TicketType
    reason: str


def classify(message: UserMessage, verdict: Verdict, settings: RulesSettings) -> Classification:
    """An incident word decides before a request word: who asks for help with something broken has an incident."""
    if verdict.type is not None:
        return Classification(type=TicketType(verdict.type), reason=f"A rule makes it a {verdict.type}.")
    text = f"{message.subject}\n{message.reply_text or message.text}"[:MAX_CHARACTERS].casefold()
    broken = next((word for word in settings.incident_words if word in text), None)
    if broken:
        return Classification(type=TicketType.INCIDENT, reason=f"The words {broken!r} speak for an incident.")
    wanted = next((word for word in settings.request_words if word in text), None)
    if wanted:
        return Classification(type=TicketType.SERVICE_REQUEST, reason=f"The words {wanted!r} speak for a service request.")
    return Classification(type=TicketType.INCIDENT, reason="No word speaks for a request, so it is an incident.")
