"""The texts we ship: each event has one, it states only declared facts, and it reads well whatever is missing."""

import email
import email.policy
import html
import re
from itertools import product

import pytest
from jinja2 import Environment, meta

from itsm.notification import Event
from notifier import blocks
from notifier.events import FACT_NAMES, facts_of
from notifier.preview import SAMPLE_IDENTITY, preview, sample
from notifier.render import RenderRequest, html_of, render, words_of
from notifier.sandbox import FILTERS, SHIPPED

QUOTED = blocks.fence(blocks.Kind.QUOTED, "said\n\nmore")


def parts(event, facts, templates=""):
    words = words_of(event, facts, templates)
    return words, blocks.plain(words.blocks), html_of(event, words, facts)


def full(event):
    return {fact.name: fact.sample for fact in facts_of(event)}


def test_every_event_has_a_text_and_nothing_else_lies_there():
    assert sorted(path.name for path in SHIPPED.iterdir()) == sorted([*(f"{event.value}.txt" for event in Event), "shell.html"])


@pytest.mark.parametrize("event", Event)
def test_a_text_states_only_facts_of_its_event(event):
    source = (SHIPPED / f"{event.value}.txt").read_text()
    language = Environment()
    language.filters.update(FILTERS)
    assert meta.find_undeclared_variables(language.parse(source)) <= set(FACT_NAMES[event])


@pytest.mark.parametrize("event", Event)
def test_a_preview_needs_no_fallback(event):
    rendered = preview(event)
    assert rendered.fallback is None
    mail = email.message_from_bytes(rendered.message, policy=email.policy.default)
    assert mail["Subject"].startswith("[INC-1042]")


@pytest.mark.parametrize("event", Event)
def test_a_text_reads_well_without_what_may_be_missing(event):
    needed = {
        "number": "INC-1",
        "type": "incident",
        "state": "new",
        "priority": "P3",
        "opened_at": "2026",
        "desk_name": "Desk",
        "desk_address": "d@x.example",
    }
    words, text, page = parts(
        event, dict.fromkeys(FACT_NAMES[event], "") | {name: value for name, value in needed.items() if name in FACT_NAMES[event]}
    )
    assert words.fallback is None
    assert words.subject.startswith("[INC-1]")
    for line in (*text.splitlines(), words.subject):
        assert not re.search(r"  +[.,!?]|\(\)|: *$|^# |<>| ,", line.replace(":  ", ": x")), line
    assert "None" not in page


@pytest.mark.parametrize(("event", "reopen_days", "words"), list(product([Event.RESOLVED], ["0", "1", "7"], ["", "Cleared."])))
def test_the_solved_mail_says_how_to_come_back(event, reopen_days, words):
    _, text, _ = parts(event, full(event) | {"reopen_days": reopen_days, "words": words})
    said = {"0": "write to us again", "1": "within 1 day and", "7": "within 7 days and"}[reopen_days]
    assert said in " ".join(text.split())


@pytest.mark.parametrize("event", Event)
def test_both_parts_say_the_same(event):
    _, text, page = parts(event, full(event))
    shown = html.unescape(re.sub(r"<[^>]*>", " ", page.partition("<body")[2].partition(">")[2]))
    for word in re.sub(r"(?m)^> ?|^-- $", "", text).split():
        assert word.rstrip(":") in shown.replace("\n", " "), word


@pytest.mark.parametrize("event", Event)
def test_a_page_loads_nothing_and_runs_nothing(event):
    _, _, page = parts(event, full(event))
    assert not re.search(r"(?i)<(script|img|link|iframe|object|form|svg)|url\(|@import|\bon\w+=|\bsrc=", page)


@pytest.mark.parametrize("event", Event)
def test_what_people_write_is_shown_and_never_obeyed(event):
    hostile = "{{ 7*7 }} {% for x in y %} <script>alert(1)</script> <img src=x onerror=alert(1)> ' \" & \x02qx\x03 # no\n-- \n- item\nName:  value\n\u202egnp.exe"
    told = sample(event)
    told = type(told)(
        **(
            {name: getattr(told, name) for name in told.__struct_fields__}
            | {"facts": dict.fromkeys(FACT_NAMES[event], hostile) | {"trusted": "yes"}}
        )
    )
    rendered = render(RenderRequest(notification=told, identity=SAMPLE_IDENTITY, verp="t", loop_mark="m", date=told.created_at))
    assert rendered.fallback is None
    mail = email.message_from_bytes(rendered.message, policy=email.policy.default)
    text, page = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "{{ 7*7 }}" in text
    assert "49" not in text
    assert not re.search(r"<(script|img)", page)
    assert "\u202e" not in text + page
    assert "\x02" not in text + page


def test_long_words_are_cut_and_say_so():
    _, text, _ = parts(Event.TEAM_NEW, full(Event.TEAM_NEW) | {"words": "x"})
    assert "left out" not in text
    told = sample(Event.TEAM_NEW)
    told = type(told)(
        **(
            {name: getattr(told, name) for name in told.__struct_fields__}
            | {"facts": told.facts | {"words": "word " * 20_000, "subject": "s" * 500}}
        )
    )
    rendered = render(RenderRequest(notification=told, identity=SAMPLE_IDENTITY, verp="t", loop_mark="m", date=told.created_at))
    mail = email.message_from_bytes(rendered.message, policy=email.policy.default)
    assert "[The rest is left out here." in mail.get_body(("plain",)).get_content()
    assert len(mail["Subject"]) <= 200


def test_a_link_shows_where_it_leads_and_ends_before_the_full_stop():
    made = blocks.linked(
        'see https://x.example/a_(b)?q=1&r=2. Or (http://y.example) and javascript:alert(1), "https://z.example" (https://w.example/b_(c))'
    )
    assert re.findall('href="([^"]*)"', made) == [
        "https://x.example/a_(b)?q=1&amp;r=2",
        "http://y.example",
        "https://z.example",
        "https://w.example/b_(c)",
    ]
    for target, shown in re.findall('<a href="([^"]*)"[^>]*>(.*?)</a>', made):
        assert target == shown


def test_layout_of_a_text_becomes_blocks_and_text_again():
    source = f"# Title\n\npara one\nstill one\n\n- a\n- b\n\nName:  x\nLonger name:  y\n\n{QUOTED}tail\n\n-- \nfoot\n"
    found = blocks.read(source)
    assert [block.kind.name for block in found] == ["HEADING", "PARAGRAPH", "LIST", "TABLE", "QUOTED", "PARAGRAPH", "PARAGRAPH"]
    assert (
        blocks.plain(found)
        == "Title\n\npara one still one\n\n- a\n- b\n\nName:         x\nLonger name:  y\n\n> said\n>\n> more\n\ntail\n\n-- \nfoot\n"
    )


def test_a_list_is_a_list_in_both_parts(tmp_path):
    (tmp_path / "reply.txt").write_text("Subject: x\n\n- one\n- see https://x.example\n")
    _, text, page = parts(Event.REPLY, full(Event.REPLY), str(tmp_path))
    assert text == "- one\n- see https://x.example\n"
    assert page.count("<li ") == 2
