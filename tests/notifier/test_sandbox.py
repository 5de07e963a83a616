"""What a template may do, and what becomes of a notice whose template may not (A41, A42, A43, F67)."""

import email
import email.policy

import pytest

from itsm.notification import Event
from notifier.events import FACT_NAMES
from notifier.preview import preview, sample
from notifier.render import words_of
from notifier.sandbox import MAX_TEMPLATE_CHARACTERS, Environment, NotATemplate, render_text, text_environment

FACTS = dict.fromkeys(FACT_NAMES[Event.REPLY], "fact")
BOMBS = [
    "{{ 'x' * 10**9 }}",
    "{{ 'a' * 1500000000 }}",
    "{{ 9**9**9**9 }}",
    "{{ '%999999999d' % 1 }}",
    "{{ words ~ words }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% set ns = namespace(a='x') %}",
    "{{ words.ljust(999999999) }}",
    "{{ words | center(999999999) }}",
    "{{ lipsum(n=99999) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ words['__class__'] }}",
    "{{ '%s' | format(words) }}",
    "{{ words | attr('__class__') }}",
    "{{ self._TemplateReference__context }}",
    "{% include '/etc/passwd' %}",
    "{% extends 'shell.html' %}",
    "{% import 'shell.html' as x %}",
    "{{ [1, 2] }}",
    "{{ {'a': 1} }}",
    "{% filter quoted %}x{% endfilter %}",
    "{{ words is defined }}",
    "{{ words",
    "{{ unknown }}",
    "{{ words | unknown }}",
    "{% unknown %}",
    "\x02q\x03",
    "x" * MAX_TEMPLATE_CHARACTERS,
    "{{ " + "(" * 20_000 + "words" + ")" * 20_000 + " }}",
]


def own(tmp_path, body, event=Event.REPLY):
    (tmp_path / f"{event.value}.txt").write_text(f"Subject: [{{{{ number }}}}] mine\n\n{body}\n")
    return str(tmp_path)


@pytest.mark.parametrize("body", BOMBS, ids=range(len(BOMBS)))
def test_what_is_not_part_of_the_language_is_refused_and_the_notice_goes_out_with_our_text(tmp_path, body):
    rendered = preview(Event.REPLY, templates=own(tmp_path, body))
    assert rendered.fallback
    assert len(rendered.fallback) < 2_000
    mail = email.message_from_bytes(rendered.message, policy=email.policy.default)
    assert mail["Subject"] == "[INC-1042] Printer 4F jams"
    assert "straightened it" in mail.get_body(("plain",)).get_content()


def test_a_text_of_ones_own_goes_before_ours_and_is_read_again_when_it_changes(tmp_path):
    directory = own(tmp_path, "first {{ words | quoted }}")
    assert b"first" in preview(Event.REPLY, templates=directory).message
    own(tmp_path, "second, longer {{ words | quoted }}")
    assert b"second" in preview(Event.REPLY, templates=directory).message
    assert preview(Event.RESOLVED, templates=directory).fallback is None


def test_a_text_that_writes_too_much_is_refused(tmp_path):
    directory = own(tmp_path, "{{ words | said }}" * 40)
    with pytest.raises(NotATemplate, match="writes more than"):
        render_text(directory, Event.REPLY, FACTS | {"words": "x" * 20_000})


@pytest.mark.parametrize(
    "text", ["no subject line\n\nbody", "Subject: \n\nbody", "Subject: x\n\n", "Subject: x\n\n-- \nonly a footer\n", ""]
)
def test_a_text_without_subject_or_body_is_refused(tmp_path, text):
    (tmp_path / "reply.txt").write_text(text)
    assert "reply.txt" in words_of(Event.REPLY, FACTS, str(tmp_path)).fallback


def test_a_text_that_is_no_utf_8_is_refused(tmp_path):
    (tmp_path / "reply.txt").write_bytes(b"Subject: x\n\n\xff\xfe")
    assert "cannot be read" in words_of(Event.REPLY, FACTS, str(tmp_path)).fallback


def test_a_missing_text_is_named(tmp_path):
    with pytest.raises(NotATemplate, match=r"reply\.txt cannot be read"):
        render_text(str(tmp_path), Event.REPLY, FACTS)


def test_a_text_that_fails_when_it_is_rendered_is_refused(tmp_path):
    with pytest.raises(NotATemplate, match=r"reply\.txt"):
        render_text(own(tmp_path, "{{ words | quoted(1) }}"), Event.REPLY, FACTS)


def test_without_any_template_there_is_still_a_notice(tmp_path, monkeypatch):
    monkeypatch.setattr("notifier.render.SHIPPED", tmp_path)
    words = words_of(Event.REPLY, FACTS | {"number": "INC-1", "words": "the words"})
    assert words.fallback == "there is no reply.txt"
    assert [block.text for block in words.blocks] == ["There is news on INC-1.", "the words", "fact"]


def test_the_plain_notice_repeats_nothing_to_somebody_unproven(tmp_path, monkeypatch):
    monkeypatch.setattr("notifier.render.SHIPPED", tmp_path)
    assert b"jams" not in preview(Event.ACKNOWLEDGED, trusted=False).message
    assert sample(Event.ACKNOWLEDGED, trusted=False).facts["trusted"] == ""


@pytest.mark.parametrize("source", ["{{ words.upper() }}", "{{ words.__class__ }}", "{{ 2 * 3 }}", "{{ words() }}"])
def test_the_second_wall_holds_without_the_first(source):
    environment = text_environment("unused")
    assert isinstance(environment, Environment)
    with pytest.raises(Exception, match=r"not part of mail templates|is unsafe|not safely callable|has no attribute"):
        environment.from_string(source).render(words="x")
