"""Priority from impact and urgency by the matrix, with the reason in words (itsm 3.3)."""

import msgspec

from itsm.service import Service
from itsm.signal import Severity
from rules.ruleset import Verdict
from rules.settings import RulesSettings

IMPACT_OF_TIER = {1: 1, 2: 2, 3: 2, 4: 3}
URGENCY_OF_SEVERITY = {Severity.CRITICAL: 1, Severity.ERROR: 2, Severity.WARNING: 2, Severity.INFO: 3, Severity.UNKNOWN: 2}


class Priority(msgspec.Struct, frozen=True, kw_only=True):
    """Impact and urgency (1 highest, to 3), the priority (1 to 5), and why."""

    impact: int
    urgency: int
    priority: int
    reason: str


def _priority(impact: int, urgency: int, why: str, verdict: Verdict, settings: RulesSettings) -> Priority:
    impact, urgency = verdict.impact or impact, verdict.urgency or urgency
    if verdict.priority:
        return Priority(impact=impact, urgency=urgency, priority=verdict.priority, reason=f"Priority {verdict.priority} is set by a rule.")
    found = settings.priority[impact - 1][urgency - 1]
    return Priority(
        impact=impact, urgency=urgency, priority=found, reason=f"Priority {found}: impact {impact} x urgency {urgency} ({why})."
    )


def prioritise_mail(verdict: Verdict, settings: RulesSettings) -> Priority:
    """One person (impact 3) who is held up (urgency 2). Words like "urgent" lift nothing: anyone can write them (A67)."""
    return _priority(3, 2, "one person", verdict, settings)


def prioritise_event(severity: Severity, service: Service | None, verdict: Verdict, settings: RulesSettings) -> Priority:
    """Impact from the tier of the service (2 when it is not known), urgency from the severity."""
    impact = IMPACT_OF_TIER.get(service.tier, 2) if service else 2
    why = f"severity {severity.value}" + (f", service {service.key} of tier {service.tier}" if service else "")
    return _priority(impact, URGENCY_OF_SEVERITY[severity], why, verdict, settings)
