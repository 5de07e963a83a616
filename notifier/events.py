"""Which facts a mail of each event may state: the one table that templates, previews, checks and the reference page read."""

import re

import msgspec

from itsm.notification import NULL_REVERSE_PATH, Event, Notification

MAX_LINE_CHARACTERS = 200  # of a fact that stands in one line
MAX_BLOCK_CHARACTERS = 20_000  # of a fact of many lines; the whole text is in the ticket
CUT = " …"
CUT_BLOCK = "\n\n[The rest is left out here. The whole text is in the ticket.]"
# C0 without tab and line feed, DEL, C1, surrogates, line and paragraph separators, and the marks that turn text around
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A named text a template may state. `outside` is true when somebody outside the desk wrote it."""

    name: str
    meaning: str
    sample: str = ""
    many_lines: bool = False
    outside: bool = False


_WORDS = "The paper tray of printer 4F was bent. I have straightened it and printed two test pages.\n\nBest wishes,\nBen"
_LABELS = "alertname = DiskWillFillIn4Hours\ninstance = db1.corp.example:9100\nmountpoint = /var/lib/postgresql"
_LINKS = "https://prometheus.corp.example/graph?g0.expr=node_filesystem_avail_bytes&g0.tab=1"
FACTS: tuple[Fact, ...] = (
    Fact(name="number", meaning="The ticket's number with its prefix.", sample="INC-1042"),
    Fact(name="type", meaning="`incident` or `service request`.", sample="incident"),
    Fact(name="state", meaning="The state of the ticket when the mail was decided.", sample="in progress"),
    Fact(name="subject", meaning="The ticket's subject.", sample="Printer 4F jams", outside=True),
    Fact(name="priority", meaning="`P1` (highest) to `P5`.", sample="P3"),
    Fact(name="service", meaning="The service's name; may be empty.", sample="Printing"),
    Fact(name="team_name", meaning="The name of the team that answers for the ticket; may be empty.", sample="Workplace"),
    Fact(name="opened_at", meaning="When the ticket was opened.", sample="2026-03-23 10:30 UTC"),
    Fact(name="reopen_days", meaning="A reply reopens a resolved ticket within so many days.", sample="7"),
    Fact(name="event_count", meaning="How many monitoring events the incident has seen.", sample="3"),
    Fact(name="desk_name", meaning="The name of the desk.", sample="Service Desk"),
    Fact(name="desk_address", meaning="The address of the desk, where replies go.", sample="desk@corp.example"),
    Fact(name="trusted", meaning="`yes` when the sender is authenticated, else empty.", sample="yes"),
    Fact(name="requester", meaning="The requester's address; may be empty.", sample="ana@corp.example", outside=True),
    Fact(name="requester_name", meaning="The requester's name; may be empty.", sample="Ana Example", outside=True),
    Fact(name="agent_name", meaning="The name of the agent who wrote; may be empty.", sample="Ben Example"),
    Fact(name="words", meaning="The new words this mail is about; may be empty.", sample=_WORDS, many_lines=True, outside=True),
    Fact(name="code", meaning="The resolution code; may be empty.", sample="fixed"),
    Fact(name="reason", meaning="Why this mail is sent, when there is something to add; may be empty.", sample="reopened by a reply"),
    Fact(
        name="copied",
        meaning="Who else the mail went to and follows the ticket only when told so; may be empty.",
        sample="bo@corp.example",
        outside=True,
    ),
    Fact(name="answerable", meaning="`yes` when the reader can answer as an agent by mail, else empty.", sample="yes"),
    Fact(name="done", meaning="The commands that were done, one a line; may be empty.", sample="#take\n#prio P2", many_lines=True),
    Fact(name="refused", meaning="Why nothing was done; may be empty.", sample=""),
    Fact(name="held", meaning="`yes` when the mail waits as a held note, else empty.", sample=""),
    Fact(
        name="legal",
        meaning="The commands that would be legal now.",
        sample="#take, #status, #assign ben, #pending customer, #resolve fixed",
    ),
    Fact(name="state_now", meaning="The state of the ticket after the commands; may be empty.", sample="in progress"),
    Fact(name="out_of_hours", meaning="What the team says while nobody is there; may be empty.", sample=""),
    Fact(name="into", meaning="The number of the ticket this one was merged into.", sample="INC-1007"),
    Fact(name="severity", meaning="The worst severity of the monitoring series; may be empty.", sample="critical"),
    Fact(name="source", meaning="The monitoring source.", sample="alertmanager"),
    Fact(name="labels", meaning="The labels of the monitoring event, one a line.", sample=_LABELS, many_lines=True, outside=True),
    Fact(name="links", meaning="The links of the monitoring event, one a line.", sample=_LINKS, many_lines=True, outside=True),
)

_EVERY = ("number", "type", "state", "subject", "priority", "service", "team_name", "opened_at", "desk_name", "desk_address")
_REQUESTER = (*_EVERY, "reopen_days", "requester_name", "agent_name", "words")
_TEAM = (*_EVERY, "requester", "requester_name", "words", "reason", "copied", "answerable")
_ALERT = (*_EVERY, "event_count", "severity", "source", "words", "labels", "links", "reason", "answerable")
FACT_NAMES: dict[Event, tuple[str, ...]] = {
    Event.ACKNOWLEDGED: (*_EVERY, "trusted", "requester_name", "out_of_hours"),
    Event.REPLY: _REQUESTER,
    Event.UPDATED: (*_REQUESTER, "reason"),
    Event.RESOLVED: (*_REQUESTER, "code"),
    Event.REOPENED: (*_REQUESTER, "reason"),
    Event.TEAM_NEW: _TEAM,
    Event.TEAM_REPLY: _TEAM,
    Event.TEAM_ALERT_OPENED: _ALERT,
    Event.TEAM_ALERT_RESOLVED: _ALERT,
    Event.COMMAND_RESULT: (*_EVERY, "done", "refused", "held", "legal", "state_now"),
    Event.STATUS: (*_EVERY, "trusted", "requester_name"),
    Event.MERGED: (*_EVERY, "requester_name", "into"),
}


def facts_of(event: Event) -> tuple[Fact, ...]:
    """The facts a template of this event may state, in the order of the reference page."""
    return tuple(fact for fact in FACTS if fact.name in FACT_NAMES[event])


def may_repeat(notification: Notification) -> bool:
    """Whether the mail may repeat what its reader is said to have written (RFC 3834 3.2, reliability A17).

    Only an automatic response to a sender whom nobody authenticated may not: the address may be a victim's.
    """
    return notification.event not in NULL_REVERSE_PATH or notification.facts.get("trusted") == "yes"


def stated(notification: Notification, desk_facts: dict[str, str]) -> dict[str, str]:
    """Every fact the event declares, cleaned and bounded; "" where the row has none, so rows of other versions render too."""
    given = {"number": str(notification.ticket_number)} | notification.facts | desk_facts
    repeats = may_repeat(notification)
    facts: dict[str, str] = {}
    for fact in facts_of(notification.event):
        text = given.get(fact.name, "") if repeats or not fact.outside else ""
        facts[fact.name] = clean_block(text) if fact.many_lines else clean_line(text)
    return facts


def clean_line(text: str, limit: int = MAX_LINE_CHARACTERS) -> str:
    """One line without control characters, blanks collapsed, at most `limit` characters."""
    line = " ".join(_UNSAFE.sub(" ", text[: limit * 4]).split())
    return line if len(line) <= limit else line[: limit - len(CUT)].rstrip() + CUT


def clean_block(text: str, limit: int = MAX_BLOCK_CHARACTERS) -> str:
    """Lines without control characters and without empty lines around them, at most `limit` characters and a note."""
    block = _UNSAFE.sub("", _LINE_END.sub("\n", text[: limit * 2])).replace("\t", "    ")
    lines = "\n".join(line.rstrip() for line in block.split("\n")).strip("\n")
    return lines if len(lines) <= limit else lines[:limit].rstrip() + CUT_BLOCK
