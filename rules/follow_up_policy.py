"""What holds for a team's tickets once they are resolved, and when its people are there (mail lesson 14, itsm 3.2)."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from rules.settings import FollowUp, RulesSettings

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_TEAM = FollowUp()


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The windows that are in force for a team, in days, and whether a reply after them is held rather than a new ticket."""

    reopen_days: int
    close_after_days: int
    held_after: bool


def policy_of(team: str, settings: RulesSettings) -> Policy:
    """The policy of a team: its own entry, else the one for every team, else the values of `[rules]`."""
    entry = _entry(team, settings)
    return Policy(
        reopen_days=settings.reopen_days if entry.reopen_days is None else entry.reopen_days,
        close_after_days=settings.close_after_days if entry.close_after_days is None else entry.close_after_days,
        held_after=entry.after_window == "held",
    )


def out_of_hours_text(team: str, settings: RulesSettings, now: datetime) -> str:
    """What an acknowledgement says besides while nobody of the team is there; "" while somebody is, or when nothing is configured."""
    entry = _entry(team, settings)
    if not entry.hours or not entry.out_of_hours_text:
        return ""
    here = now.astimezone(ZoneInfo(entry.time_zone))
    return "" if any(_within(each, here) for each in entry.hours) else entry.out_of_hours_text


def _entry(team: str, settings: RulesSettings) -> FollowUp:
    fitting = [each for each in settings.follow_up if each.team in (team, "")]
    return next((each for each in fitting if each.team), fitting[0] if fitting else EVERY_TEAM)


def _within(hours: str, here: datetime) -> bool:
    """Whether a local time lies in hours such as `fri-mon 08:00-17:30`; a range of days may go over the end of the week."""
    days, _, times = hours.partition(" ")
    first, _, last = days.partition("-")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    if (here.weekday() - begin) % 7 > (end - begin) % 7:
        return False
    opens, _, closes = times.partition("-")
    return opens <= here.strftime("%H:%M") < closes
