"""Rules as people write them: typed, explained, refused at load when they are wrong."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itsm.address import Address
from itsm.envelope import Channel, Envelope
from itsm.signal import Attachment, EventStatus, MailKind, MonitoringEvent, Severity, UserMessage
from rules.predicate import MAX_DEPTH, Every, PredicateError, compile_condition
from rules.ruleset import compile_ruleset, facts_of_event, facts_of_mail, judge
from rules.settings import Rule, RulesSettings

NOW = datetime(2026, 3, 23, 10, tzinfo=UTC)
FACTS = {"subject": "disk full on db1", "from": "ana@corp.example", "trust": 1, "has_attachments": False, "labels.team": "net"}


def holds(when, facts=FACTS):
    return Every(members=compile_condition(when)).holds(facts)


@pytest.mark.parametrize(
    ("when", "truth"),
    [
        ({}, True),
        ({"subject": "Disk full on DB1"}, True),
        ({"subject": {"contains": "FULL"}}, True),
        ({"subject": {"starts": "disk"}}, True),
        ({"subject": {"starts": "full"}}, False),
        ({"subject": {"contains": "disk", "starts": "x"}}, False),
        ({"from": {"in": ["Ana@corp.example", "bo@x"]}}, True),
        ({"trust": 1}, True),
        ({"trust": {"in": [0, 2]}}, False),
        ({"has_attachments": False}, True),
        ({"labels.team": "NET"}, True),
        ({"labels.site": "paris"}, None),
        ({"labels.site": {"has": False}}, True),
        ({"labels.site": {"has": True}}, False),
        ({"labels.team": {"has": True}}, True),
        ({"not": {"trust": 2}}, True),
        ({"not": {"labels.site": "paris"}}, None),
        ({"any": [{"trust": 2}, {"trust": 1}]}, True),
        ({"any": [{"trust": 2}, {"labels.site": "x"}]}, None),
        ({"any": [{"labels.site": "x"}, {"trust": 1}]}, True),
        ({"any": [{"trust": 2}, {"trust": 3}]}, False),
        ({"all": [{"trust": 1}, {"subject": {"contains": "disk"}}]}, True),
        ({"labels.site": "x", "trust": 2}, False),
        ({"trust": 2, "labels.site": "x"}, False),
        ({"labels.site": "x", "trust": 1}, None),
    ],
)
def test_what_a_condition_says_of_the_facts(when, truth):
    assert holds(when) is truth


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ({"subjet": "x"}, "did you mean 'subject'"),
        ({"zzz": "x"}, "unknown field"),
        ({"labels.": "x"}, "unknown field"),
        ({"subject": {"contain": "x"}}, "did you mean 'contains'"),
        ({"trust": "high"}, "is a number"),
        ({"trust": True}, "is a number"),
        ({"has_attachments": 1}, "true or false"),
        ({"subject": 5}, "is text"),
        ({"trust": {"contains": 5}}, "is for text"),
        ({"subject": {"in": "x"}}, "takes a list"),
        ({"subject": {"in": []}}, "takes a list"),
        ({"subject": {"has": "yes"}}, "takes true or false"),
        ({"any": {"trust": 1}}, "takes a list of tables"),
        ({"all": []}, "takes a list of tables"),
        ({"not": [{"trust": 1}]}, "takes one table"),
    ],
)
def test_a_wrong_condition_says_what_is_wrong(when, says):
    with pytest.raises(PredicateError, match=says):
        compile_condition(when)


def test_conditions_nest_only_so_deep():
    when = {"trust": 1}
    for _ in range(MAX_DEPTH + 1):
        when = {"not": when}
    with pytest.raises(PredicateError, match="nested deeper"):
        compile_condition(when)


@given(
    st.recursive(
        st.just({"trust": 1}) | st.just({"trust": 2}) | st.just({"labels.site": "x"}),
        lambda inner: (
            st.builds(lambda a: {"not": a}, inner)
            | st.builds(lambda a, b: {"any": [a, b]}, inner, inner)
            | st.builds(lambda a, b: {"all": [a, b]}, inner, inner)
        ),
        max_leaves=6,
    )
)
def test_de_morgan_holds_in_three_values(when):
    try:
        plain = holds({"not": {"any": [when, {"trust": 1}]}})
        split = holds({"all": [{"not": when}, {"not": {"trust": 1}}]})
    except PredicateError:
        return
    assert plain is split


def ruleset(*rules, **settings):
    compiled, errors = compile_ruleset(RulesSettings(rule=rules, **settings))
    assert errors == ()
    return compiled


def test_the_first_rule_that_sets_a_field_wins_and_tags_add_up():
    rules = ruleset(
        Rule(key="disk", when={"subject": {"contains": "disk"}}, team="storage", tags=("disk",)),
        Rule(key="db", when={"subject": {"contains": "db1"}}, team="database", service="db", tags=("db", "disk")),
        Rule(key="never", when={"trust": 3}, team="x"),
        Rule(key="near", when={"trust": 3, "subject": {"contains": "disk"}}, team="x"),
    )
    verdict = judge(rules, FACTS)
    assert (verdict.team, verdict.service, verdict.tags) == ("storage", "db", ("disk", "db"))
    assert verdict.rules == ("disk", "db")
    assert verdict.values == {"subject": "disk full on db1"}
    assert [miss.rule for miss in verdict.near_misses] == ["never", "near"]


def test_stop_ends_the_list_and_two_failed_predicates_are_no_near_miss():
    rules = ruleset(
        Rule(key="far", when={"trust": 3, "subject": "x"}), Rule(key="first", stop=True, suppress=True), Rule(key="second", team="x")
    )
    verdict = judge(rules, FACTS)
    assert verdict.suppress is True
    assert verdict.team is None
    assert verdict.near_misses == ()


def test_at_most_ten_near_misses_are_kept():
    rules = ruleset(*(Rule(key=f"r{index}", when={"trust": 3}) for index in range(20)))
    assert len(judge(rules, FACTS).near_misses) == 10


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (RulesSettings(rule=(Rule(key="a"), Rule(key="a"))), "another rule"),
        (RulesSettings(rule=(Rule(key="a", type="problem"),)), "type must be"),
        (RulesSettings(rule=(Rule(key="a", when={"subjet": "x"}),)), "unknown field"),
        (RulesSettings(priority=((1, 2, 3), (2, 3, 4), (3, 2, 5))), "must not fall"),
        (RulesSettings(priority=((1, 2, 3), (1, 1, 4), (3, 4, 5))), "must not fall"),
        (RulesSettings(priority=((1, 2, 3), (2, 3, 4), (3, 4, 6))), "must not fall"),
    ],
)
def test_a_ruleset_says_what_is_wrong_with_it(settings, says):
    _, errors = compile_ruleset(settings)
    assert says in errors[0].message


def test_a_ruleset_is_named_by_its_content():
    assert ruleset(Rule(key="a")).sha256 == ruleset(Rule(key="a")).sha256 != ruleset(Rule(key="b")).sha256


def test_facts_of_a_mail_are_folded_and_bounded():
    message = UserMessage(
        kind=MailKind.HUMAN,
        message_id="a@b",
        sender=Address(address="Ana@Corp.example"),
        to=(Address(address="Help@x"),),
        cc=(Address(address="Bo@x"),),
        subject="Disk FULL",
        text="X" * 100_000,
        attachments=(Attachment(filename="a", content_type="text/plain", size_bytes=1, sha256=""),),
        content_sha256=b"",
        fallback_sha256=b"",
    )
    envelope = Envelope(id=1, channel=Channel.SMTP, source="SMTP", received_at=NOW, size_bytes=1, forward_paths=("Help@x",))
    facts = facts_of_mail(message, envelope, 1)
    assert facts["from_domain"] == "corp.example"
    assert facts["to"] == ("help@x", "bo@x")
    assert facts["subject"] == "disk full"
    assert len(str(facts["text"])) == 65536
    assert facts["has_attachments"] is True
    nobody = facts_of_mail(
        UserMessage(kind=MailKind.MACHINE, message_id=None, sender=None, content_sha256=b"", fallback_sha256=b""), envelope, 0
    )
    assert nobody["from"] == ""


def test_facts_of_an_event_hold_its_labels():
    event = MonitoringEvent(
        source="AM", series_key="k", status=EventStatus.FIRING, severity=Severity.CRITICAL, title="Disk", labels={"Team": "Net"}
    )
    envelope = Envelope(id=1, channel=Channel.HTTP, source="AM", format="alertmanager", received_at=NOW, size_bytes=1)
    facts = facts_of_event(event, envelope)
    assert (facts["labels.Team"], facts["kind"], facts["severity"], facts["source"]) == ("net", "alert", "critical", "am")
