"""The `[rules]` table: rules as people write them, the priority matrix, words, windows and budgets."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from rules.extraction import Extraction

Words = tuple[str, ...]
OneToThree = Annotated[int, Meta(ge=1, le=3)]
HOURS = (
    r"^(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))? ([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
)
OneToFive = Annotated[int, Meta(ge=1, le=5)]

REQUEST_WORDS: Words = (
    "please install", "need access", "request access", "access to", "new laptop", "to order", "an order", "order a", "order an",
    "how do i", "how can i", "could you please", "new account", "create an account", "license for", "licence for", "onboarding",
    "new starter", "would like to have", "bitte installieren", "zugriff auf", "zugang zu", "neues konto", "bestellung*", "bestellen",
    "wie kann ich", "benötige*", "pouvez-vous installer", "accès à", "nouveau compte", "commande", "commander", "comment puis-je",
    "por favor instalar", "acceso a", "nueva cuenta", "solicitud", "proszę o instalację", "dostęp do", "nowe konto",
)  # fmt: skip
INCIDENT_WORDS: Words = (
    "down", "broken", "error*", "fail*", "cannot", "can't", "does not work", "doesn't work", "not working", "crash*", "slow", "slower",
    "outage*", "jam", "jams", "jammed", "stopped", "kaputt*", "fehler*", "geht nicht", "funktioniert nicht", "abgestürzt", "langsam*",
    "störung*", "panne", "erreur*", "ne fonctionne pas", "ne marche pas", "bloqué*", "no funciona", "fallo*", "nie działa*", "awari*",
    "błąd", "błęd*",
)  # fmt: skip


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule. Rules are tried in order; every rule that matches applies, the first that sets a field wins it."""

    key: Annotated[str, Meta(description="Name of the rule, shown in every reason; unique.", min_length=1, max_length=64)]
    when: Annotated[
        dict[str, Any],
        Meta(description='Conditions that must all hold: field = value, field = { contains = "disk" }, or any / all / not with tables.'),
    ] = {}
    type: Annotated[str | None, Meta(description="Sets the ticket type: incident or service_request.")] = None
    impact: Annotated[OneToThree | None, Meta(description="Sets the impact, 1 (highest) to 3.")] = None
    urgency: Annotated[OneToThree | None, Meta(description="Sets the urgency, 1 (highest) to 3.")] = None
    priority: Annotated[OneToFive | None, Meta(description="Sets the priority, 1 (highest) to 5, past the matrix.")] = None
    service: Annotated[str | None, Meta(description="Sets the service, by its key.")] = None
    team: Annotated[str | None, Meta(description="Sets the team, by its key.")] = None
    tags: Annotated[Words, Meta(description="Adds tags.")] = ()
    suppress: Annotated[bool | None, Meta(description="true: no ticket and no notice; the input is kept and counted.")] = None
    acknowledge: Annotated[bool | None, Meta(description="false: the sender is not acknowledged. true never overrides a guard.")] = None
    stop: Annotated[bool, Meta(description="true: later rules are not tried when this one matches.")] = False


class Budgets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many automatic answers and notices may go out; what is over a budget is recorded, not sent."""

    per_address_hour: Annotated[int, Meta(description="Automatic answers to one address in an hour.", ge=0)] = 10
    per_domain_minute: Annotated[int, Meta(description="Automatic answers to one domain in a minute.", ge=0)] = 10
    total_minute: Annotated[int, Meta(description="Automatic answers to anybody in a minute.", ge=0)] = 50
    notices_per_sender_hour: Annotated[
        int, Meta(description="Notices to teams that the mails of one sender cause in an hour; it ends loops with responders.", ge=0)
    ] = 30
    per_ticket_hour: Annotated[
        int, Meta(description="Notices that mails on one ticket cause in an hour, whoever sends them; it ends loops as well.", ge=0)
    ] = 30
    same_words_day: Annotated[
        int, Meta(description="Notices in a day that the same words about a ticket from one domain cause, unproven.", ge=0)
    ] = 1
    same_mail_week: Annotated[
        int,
        Meta(
            description="Answers in a week to mails of one address that say the same, numbers aside; more of them are not answered until "
            "a week went by.",
            ge=0,
        ),
    ] = 2
    reopens_per_day: Annotated[int, Meta(description="Times that mails reopen one ticket in a day; then they are only appended.", ge=0)] = 3
    loop_incidents_per_day: Annotated[
        int, Meta(description="Incidents in a day about budgets that a loop used up, one for each budget; 0 opens none.", ge=0)
    ] = 10


class FollowUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What follows on a ticket of a team once it is resolved, and what its acknowledgement says out of hours."""

    team: Annotated[str, Meta(description="The team, by its key; empty: every team that has none of its own.")] = ""
    reopen_days: Annotated[Annotated[int, Meta(ge=0)] | None, Meta(description="Instead of the value of [rules].")] = None
    close_after_days: Annotated[Annotated[int, Meta(ge=0)] | None, Meta(description="Instead of the value of [rules].")] = None
    after_window: Annotated[
        Literal["new_ticket", "held"],
        Meta(description="A reply after the window: new_ticket opens a linked one, held leaves a note that waits for an agent."),
    ] = "new_ticket"
    hours: Annotated[
        tuple[Annotated[str, Meta(pattern=HOURS)], ...],
        Meta(description='When people are there, such as "mon-fri 08:00-17:30"; empty: always.'),
    ] = ()
    time_zone: Annotated[str, Meta(description="The time zone of these hours, such as Europe/Berlin.")] = "UTC"
    out_of_hours_text: Annotated[str, Meta(description="What the acknowledgement says besides when nobody is there.", max_length=500)] = ""


class RulesSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[rules]`: how what comes in is judged."""

    rule: Annotated[tuple[Rule, ...], Meta(description="The rules, `[[rules.rule]]`, in order.")] = ()
    extraction: Annotated[
        tuple[Extraction, ...], Meta(description="Mails of monitors that are read as alerts, `[[rules.extraction]]`, in order.")
    ] = ()
    priority: Annotated[
        tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]],
        Meta(description="Priority by impact (rows 1 to 3) and urgency (columns 1 to 3); must not fall with either."),
    ] = ((1, 2, 3), (2, 3, 4), (3, 4, 5))
    contact_forms: Annotated[
        Words,
        Meta(
            description="Addresses that web forms send from: of their mails the one address in Reply-To is the sender, never authenticated."
        ),
    ] = ()
    request_words: Annotated[
        Words, Meta(description="Words in subject or new text that speak for a service request; a * at the end: words that begin so.")
    ] = REQUEST_WORDS
    incident_words: Annotated[
        Words, Meta(description="Words in subject or new text that speak for an incident, and go before the others; * as above.")
    ] = INCIDENT_WORDS
    reopen_days: Annotated[
        int, Meta(description="A reply reopens a resolved ticket within this many days; later it opens a new one.", ge=0)
    ] = 7
    close_after_days: Annotated[
        int, Meta(description="A resolved ticket closes by itself after this many days; a reply to a closed one opens a new one.", ge=0)
    ] = 3
    gap_seconds: Annotated[
        int, Meta(description="A monitoring series that fires again within this time belongs to the same incident, in seconds.", ge=0)
    ] = 900
    follow_up: Annotated[
        tuple[FollowUp, ...], Meta(description="What follows on a resolved ticket, by team, `[[rules.follow_up]]`; the first that fits.")
    ] = ()
    blocked_senders: Annotated[
        Words, Meta(description="Addresses (a@b.example) and domains (b.example, with those below) whose mail is kept and no more.")
    ] = ()
    spam_flags_from: Annotated[
        Words,
        Meta(description="Networks (10.0.0.0/8) and mailboxes (by key) whose X-Spam-Flag: YES is believed: kept, no ticket, no answer."),
    ] = ()
    known_only: Annotated[bool, Meta(description="true: only senders who are known or authenticated are acknowledged.")] = False
    reply_address_days: Annotated[
        int, Meta(description="An agent can answer a notice by mail for this many days; then its reply address ends.", ge=1, le=365)
    ] = 30
    attachments_limit_bytes: Annotated[
        int, Meta(description="Files of an agent's mail go to the requester up to this many bytes together; more is refused.", ge=0)
    ] = 10 * 1024 * 1024
    team_notices: Annotated[bool, Meta(description="false: teams are not told of new tickets.")] = True
    budgets: Annotated[Budgets, Meta(description="Budgets against loops and floods, `[rules.budgets]`.")] = Budgets()
