"""Who is believed, and who is answered: RFC 8601, RFC 3834 section 2, budgets that fail closed."""

from datetime import timedelta

import pytest

from itsm.envelope import Channel
from itsm.signal import MailKind, Severity
from itsm.ticket import TicketType
from rules.answer import acknowledgement
from rules.audience import team_addressed, team_recipients
from rules.authentication import TrustSettings, trust_of
from rules.budget import budget_keys
from rules.classify import classify
from rules.prioritise import prioritise_event, prioritise_mail
from rules.ruleset import Verdict
from rules.settings import RulesSettings
from tests.rules.worlds import DESK, NOW, changed, envelope, mail, ticket

QUIET = changed(DESK, teams=(changed(DESK.teams[0], notify=""), DESK.teams[1]))
SETTINGS = RulesSettings()
LISTED = TrustSettings(
    authserv_ids=("mx.corp.example",), handed_over_from=("10.0.0.0/8", "192.0.2.1"), senders_of_login={"app": ("ana@corp.example",)}
)
PASS = "mx.corp.example; spf=pass (sender ok) smtp.mailfrom=corp.example; dmarc=pass (p=reject) header.from=corp.example"


def level(message, where=None, settings=LISTED):
    return trust_of(message, where or envelope(), settings).level


def test_a_listed_host_that_says_dmarc_pass_is_believed():
    assert level(mail(authentication=(PASS,))) == 1
    assert level(mail(authentication=(PASS,)), envelope(peer="10.1.2.3")) == 1
    assert level(mail(authentication=(PASS,)), envelope(channel=Channel.IMAP, peer="")) == 1


@pytest.mark.parametrize(
    "field",
    [
        "mx.evil.example; dmarc=pass header.from=corp.example",
        "dmarc=pass header.from=corp.example",  # Microsoft's form without authserv-id
        "mx.corp.example; dmarc=fail header.from=corp.example",
        "mx.corp.example; dmarc=pass header.from=other.example",
        "mx.corp.example; spf=pass; dkim=pass",
        "mx.corp.example; spf=pass (dmarc=pass header.from=corp.example)",
        "",
        "((((((((((((dmarc=pass))))))))))))",
    ],
)
def test_no_other_authentication_result_is_believed(field):
    assert level(mail(authentication=(field, PASS))) == 0


NAMELESS = "spf=pass smtp.mailfrom=corp.example; dkim=pass; dmarc=pass action=none header.from=corp.example;compauth=pass reason=100"


def test_a_provider_that_names_no_authserv_id_is_believed_where_it_is_listed_and_gave_the_mail_itself():
    fetched, listed = envelope(channel=Channel.IMAP, peer=""), changed(LISTED, authserv_ids=("-",))
    assert level(mail(authentication=(NAMELESS,)), fetched, listed) == 1
    assert level(mail(authentication=(NAMELESS,)), fetched, LISTED) == 0
    assert level(mail(authentication=(NAMELESS,)), envelope(), listed) == 0
    assert level(mail(authentication=(NAMELESS.replace("dmarc=pass", "dmarc=fail"),)), fetched, listed) == 0
    assert level(mail(authentication=("- ; dmarc=pass header.from=corp.example", PASS)), fetched, listed) == 0
    assert level(mail(authentication=("; dmarc=pass header.from=corp.example",)), fetched, listed) == 0
    assert level(mail(authentication=(PASS,)), fetched, listed) == 0


def test_a_result_counts_only_from_a_host_that_hands_mail_over():
    assert level(mail(authentication=(PASS,)), envelope(peer="203.0.113.9")) == 0
    assert level(mail(authentication=(PASS,)), envelope(peer="")) == 0
    assert level(mail(authentication=())) == 0
    assert level(mail(sender=None, authentication=(PASS,))) == 0


def test_a_login_may_use_only_its_own_from_addresses():
    assert level(mail(), envelope(login="app")) == 1
    assert level(mail(), envelope(login="other")) == 0


def answer(message=None, where=None, **more):
    options = {"trust": 0, "verdict": Verdict(), "budgets_used": {}, "settings": SETTINGS, "our_addresses": DESK.own_addresses, "now": NOW}
    return acknowledgement(message or mail(), where or envelope(), **(options | more))


def test_a_person_is_acknowledged_at_the_price_of_four_budgets():
    found = answer()
    assert found.send
    spent = [each.key for each in found.spend]
    assert spent[:3] == ["answer/address/ana@corp.example", "answer/domain/corp.example", "answer/all"]
    assert [each.rpartition("/")[0] for each in spent[3:]] == ["answer/repeat/ana@corp.example"]


def test_what_a_command_asks_for_is_answered_however_often_it_is_asked():
    assert [each.key.split("/")[1] for each in answer(commanded=True).spend] == ["address", "domain", "all"]


@pytest.mark.parametrize(
    ("message", "where", "more", "says"),
    [
        (mail(sender=None), None, {}, "no usable From"),
        (mail(), envelope(reverse_path=""), {}, "null reverse-path"),
        (mail(unanswerable="it came by a list"), None, {}, "it came by a list"),
        (mail(kind=MailKind.MACHINE), None, {}, "machine mail"),
        (mail(sender=changed(mail().sender, address="Help@corp.example")), None, {}, "our own addresses"),
        (mail(), None, {"verdict": Verdict(acknowledge=False)}, "a rule says so"),
        (mail(), None, {"settings": RulesSettings(known_only=True)}, "known_only"),
    ],
)
def test_who_is_not_acknowledged_and_why(message, where, more, says):
    found = answer(message, where, **more)
    assert not found.send
    assert says in found.because
    assert found.spend == ()


def test_known_only_lets_authenticated_senders_through():
    assert answer(settings=RulesSettings(known_only=True), trust=1).send


@pytest.mark.parametrize("index", [0, 1, 2])
def test_each_used_up_budget_stops_the_answer(index):
    key = budget_keys("ana@corp.example", SETTINGS, NOW)[index]
    found = answer(budgets_used={(key.key, key.window_start): key.limit})
    assert not found.send
    assert "budget" in found.because
    assert answer(budgets_used={(key.key, key.window_start): key.limit - 1}).send


def test_a_budget_is_fresh_in_the_next_window():
    key = budget_keys("ana@corp.example", SETTINGS, NOW)[1]
    assert answer(budgets_used={(key.key, key.window_start): key.limit}, now=NOW + timedelta(minutes=1)).send


def test_words_decide_between_incident_and_request():
    assert classify(mail(), Verdict(), SETTINGS).type is TicketType.INCIDENT
    assert (
        classify(mail(subject="New laptop", text="please install Word", reply_text=""), Verdict(), SETTINGS).type
        is TicketType.SERVICE_REQUEST
    )
    assert classify(mail(subject="hello", text="good day", reply_text=""), Verdict(), SETTINGS).type is TicketType.INCIDENT
    assert classify(mail(), Verdict(type="service_request"), SETTINGS).type is TicketType.SERVICE_REQUEST


def test_priority_comes_from_the_matrix_and_rules_may_set_it():
    assert prioritise_mail(Verdict(), SETTINGS).priority == 4
    assert prioritise_mail(Verdict(impact=1, urgency=1), SETTINGS).priority == 1
    assert prioritise_mail(Verdict(priority=1), SETTINGS).priority == 1
    mail_service, wiki = DESK.services
    assert prioritise_event(Severity.CRITICAL, mail_service, Verdict(), SETTINGS).priority == 1
    assert prioritise_event(Severity.INFO, wiki, Verdict(), SETTINGS).priority == 5
    assert prioritise_event(Severity.WARNING, None, Verdict(), SETTINGS).priority == 3


def test_a_notice_goes_to_the_assignee_else_the_team_else_nobody():
    (told,) = team_recipients(DESK, ticket(assignee="ben"))
    assert (told.recipient.address, told.agent) == ("ben@corp.example", "ben")
    told = team_recipients(DESK, ticket(assignee="gone"))
    assert [(each.recipient.address, each.agent) for each in told] == [("team@corp.example", "")]
    assert [each.suppressed_because is None for each in team_recipients(DESK, ticket(team="net"))] == [False]
    assert [each.suppressed_because is None for each in team_recipients(DESK, ticket(team="none"))] == [False]
    assert [each.suppressed_because is None for each in team_recipients(QUIET, ticket(), frozenset({"ben@corp.example"}))] == [False]
    assert [(each.recipient.address, each.agent) for each in team_recipients(QUIET, ticket())] == [("ben@corp.example", "ben")]


def test_the_team_addressed_first_gets_the_ticket():
    assert team_addressed(DESK, mail(), envelope(forward_paths=("NET@corp.example",))) == "net"
    assert team_addressed(DESK, mail(to=(), cc=(mail().to[0],)), envelope(forward_paths=())) == "desk"
    assert team_addressed(DESK, mail(to=()), envelope(forward_paths=("x@y",))) == "desk"
    assert team_addressed(changed(DESK, teams=()), mail(to=()), envelope(forward_paths=())) == ""
