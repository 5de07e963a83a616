"""The bench measures in turn, divides medians, and says what it could not measure."""

import subprocess
import sys

from bench.figure import Figure, Unavailable
from bench.mail import rows
from bench.row import Row
from bench.run import run
from bench.subjects import SUBJECTS
from bench.table import lines, verdict
from intake.mail import parse

MAIL = b"Return-Path: <>\nFrom: Ana <mailer-daemon@example.com>\nTo: desk@example.org\nSubject: failure notice\n\n<x@example.net>: user unknown\n"


def scripted(order, name, *values, **more):
    """A figure that gives these values, one a round, and writes its turn down."""
    left = list(values)

    def measure():
        order.append(name)
        return left.pop(0)

    return Figure(name=name, unit="/s", measure=measure, **more)


def test_figures_are_measured_in_turn_and_their_medians_divided():
    order = []
    ours, theirs = scripted(order, "ours", 30.0, 90.0, 60.0), scripted(order, "theirs", 20.0, 10.0, 40.0)
    (result, again) = run([Row(figure=ours, against=theirs, at_least=2.5), Row(figure=ours, against=theirs, at_most=3)], rounds=3)
    assert order == ["ours", "theirs"] * 3, "a figure that two rows need is measured once a round"
    assert (result.value, result.ratio, result.low, result.high) == (60.0, 3.0, 30.0, 90.0)
    assert (result.goal, result.met, again.goal, again.met) == (">= 2.5 x", True, "<= 3 x", True)


def test_a_missed_goal_is_marked():
    order = []
    row = Row(figure=scripted(order, "slow", 1.0), against=scripted(order, "fast", 2.0), at_least=1.2)
    results = run([row], rounds=1)
    assert results[0].met is False
    assert "NO" in list(lines(results))[1]


def test_what_holds_and_what_does_not_is_said_at_the_end():
    def absent():
        raise Unavailable("not installed")

    order = []
    ours = scripted(order, "ours", 30.0)
    goals = [(scripted(order, "near", 20.0), 1.5), (scripted(order, "far", 60.0), 1.2), (Figure(name="away", unit="/s", measure=absent), 2)]
    results = run([Row(figure=ours), *(Row(figure=ours, against=against, at_least=least) for against, least in goals)], rounds=1)
    first, *told = verdict(results)
    assert first == "goals: 1 of 3 hold, 1 not measured"
    assert [" ".join(each.split()) for each in told] == [
        "holds 1.50 x (goal >= 1.5 x) ours against near",
        "MISSED 0.50 x (goal >= 1.2 x) ours against far",
        "not measured 30 /s (goal >= 2 x) ours against away",
    ]
    assert list(verdict(run([Row(figure=scripted(order, "bare", 1.0))], rounds=1))) == []


def test_one_measurement_may_give_several_figures():
    calls = []

    def measure():
        calls.append(1)
        return {"p50": 3.0, "p99": 300.0}

    parts = [Figure(name=part, unit="ms", measure=measure, part=part) for part in ("p50", "p99")]
    results = run([Row(figure=parts[0]), Row(figure=parts[1], value_at_most=250)], rounds=1)
    assert len(calls) == 1
    assert [(each.value, each.met, each.goal) for each in results] == [(3.0, None, ""), (300.0, False, "<= 250 ms")]


def test_a_figure_that_takes_minutes_may_be_measured_less_often():
    order = []
    run([Row(figure=scripted(order, "long", 1.0, rounds=1), against=scripted(order, "short", 1.0, 1.0, 1.0))], rounds=3)
    assert order == ["long", "short", "short", "short"]


def test_what_cannot_be_measured_is_a_row_with_its_reason():
    def absent():
        raise Unavailable("Postfix is not installed")

    order = []
    ours, theirs = scripted(order, "ours", 5.0, 5.0), Figure(name="postfix", unit="/s", measure=absent)
    results = run([Row(figure=theirs), Row(figure=ours, against=theirs, at_least=2)], rounds=2)
    assert [(each.value, each.ratio, each.met) for each in results] == [(None, None, None), (5.0, None, None)]
    assert all("Postfix is not installed" in line for line in list(lines(results))[1:])


def test_every_subject_has_rows_and_an_unknown_one_is_refused_with_those_there_are():
    assert all(SUBJECTS.values())
    done = subprocess.run([sys.executable, "-m", "bench", "--only", "smpt"], capture_output=True, text=True)
    assert done.returncode == 2
    assert all(name in done.stderr for name in SUBJECTS)


def test_the_steps_of_a_mail_are_clocked_while_it_is_read_and_the_parser_is_left_as_it_was():
    before = {name: getattr(parse, name) for names in rows.STEPS.values() for name in names}
    plain = parse.parse_mail(MAIL)
    used = dict.fromkeys(rows.STEPS, 0.0)
    with rows.clocked(used):
        assert parse.parse_mail(MAIL) == plain
    assert all(used.values()), "each step takes some time"
    assert {name: getattr(parse, name) for name in before} == before


def test_the_shares_of_the_steps_are_the_whole(monkeypatch):
    monkeypatch.setattr(rows, "corpus", lambda: (MAIL, MAIL))
    shares = rows.shares()
    assert list(shares) == [*rows.STEPS, rows.REST]
    assert abs(sum(shares.values()) - 100) < 0.001
    assert {row.figure.part for row in rows.ROWS if row.figure.part} == shares.keys()
