"""Mutants: what is changed and what is left alone, and that a child runs the change, notices it, and is ended when it never ends."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from prove.mutation.operators import mutants_of, mutated
from prove.mutation.subjects import SUBJECTS

ROOT = Path(__file__).parents[2]


def changes(source):
    return [(each.before, each.after) for each in mutants_of(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", [("a < b", "a <= b"), ("a < b", "a >= b")]),
        ("a and b", [("a and b", "a or b"), ("a and b", "b"), ("a and b", "a")]),
        ("not a", [("not a", "a")]),
        ("a + 1", [("1", "2"), ("a + 1", "a - 1")]),
        ("x = True", [("True", "False")]),
        ("x = 'word'", [("'word'", "'wordXX'")]),
        ("x = 'a text for people'", []),
        ("x = ('two words', 'b')", [("'two words'", "'two wordsXX'"), ("'b'", "'bXX'")]),
        ("x = f'a {b} c'", []),
        ("any(x)", [("any(x)", "all(x)"), ("any(x)", "pass")]),
        ("x.startswith(y)", [("x.startswith(y)", "x.endswith(y)"), ("x.startswith(y)", "pass")]),
        ("while a:\n    break", [("a", "not a"), ("break", "continue")]),
        ("x += a", [("x += a", "pass")]),
        ("[x for x in y if x.z]", [("x.z", "not x.z")]),
        ('"""A docstring."""\nimport a\nfrom b import c', []),
        ("def f(x: int = 1) -> 'T':\n    'docstring'", [("1", "2")]),
        ("class A(B, frozen=True):\n    x: int = 3", [("3", "4")]),
    ],
)
def test_what_is_changed(source, expected):
    assert changes(source) == expected


def test_one_change_is_made_at_a_time_and_always_the_same():
    source = "x = a < b and c == 1"
    texts = {ast.unparse(mutated(source, each.place)) for each in mutants_of(source)}
    assert len(texts) == len(mutants_of(source))
    assert ast.unparse(ast.parse(source)) not in texts
    assert ast.unparse(mutated(source, -1)) == ast.unparse(ast.parse(source))


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_subject_and_its_tests_are_there_and_each_mutant_is_python(name):
    subject = SUBJECTS[name]
    source = (ROOT / subject.file).read_text()
    assert all((ROOT / each).is_file() for each in subject.tests)
    found = mutants_of(source)
    assert len(found) > 10
    for each in found[:: max(1, len(found) // 10)]:
        compile(mutated(source, each.place), subject.file, "exec")


def test_a_mutant_that_a_test_notices_is_killed():
    line = next(at for at, text in enumerate((ROOT / "rules/sameness.py").read_text().split("\n"), 1) if "minutes=30" in text)
    command = [sys.executable, "-m", "prove.mutants", "--only", "sameness", "--line", str(line)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 mutants killed" in done.stdout


def test_what_is_recorded_is_the_whole_of_a_module():
    command = [sys.executable, "-m", "prove.mutants", "--only", "sameness", "--line", "1", "--record"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 2
    assert "--record keeps whole modules" in done.stderr


IN_ORDER = """
import ast, json
from pathlib import Path
from prove.mutation import warm
tests = ["tests/rules/test_exact_guards.py"]
warm.warm("rules.sameness", tests)
tree = ast.parse(Path("rules/sameness.py").read_text())
def run(tree, *order):
    return warm.Child(tests, module="rules.sameness", tree=tree, usual=dict.fromkeys(order, 10.0), cpu_seconds=60, wall_seconds=250).wait().seen
first = run(tree)
names = list(first.seconds)
again = run(tree, names[-1], "a test that is not there")
broken = ast.parse(ast.unparse(tree).replace("minutes=30", "minutes=31"))
print(json.dumps({"names": names, "again": list(again.seconds), "noticed": [run(broken).killer, list(run(broken, run(broken).killer).seconds)]}))
"""


def test_a_child_runs_all_the_tests_in_the_order_that_it_is_given_and_tells_which_failed():
    done = subprocess.run([sys.executable, "-c", IN_ORDER], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    found = json.loads(done.stdout)
    assert found["again"] == [found["names"][-1], *found["names"][:-1]]
    killer, alone = found["noticed"]
    assert "test_without_a_message_id_the_same_content_counts_for_half_an_hour" in killer
    assert alone == [killer]  # run first, it is the only one that is needed


ENDLESS = """
import ast
from prove.mutation import warm
tests = ["tests/rules/test_exact_guards.py"]
warm.warm("rules.sameness", tests)
print(warm.Child(tests, module="rules.sameness", tree=ast.parse("while True: pass"), cpu_seconds=1, wall_seconds=250).wait().limit)
"""


def test_a_mutant_that_never_ends_is_ended():
    done = subprocess.run([sys.executable, "-c", ENDLESS], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout.strip() == "processor time", done.stderr


ENDLESS_WITHIN_A_TEST = """
import ast
from pathlib import Path
from prove.mutation import warm
tests = ["tests/rules/test_exact_guards.py"]
warm.warm("rules.sameness", tests)
source = Path("rules/sameness.py").read_text()
usual = warm.Child(tests, module="rules.sameness", tree=ast.parse(source), cpu_seconds=60, wall_seconds=250).wait().seen.seconds
endless = ast.parse(source.replace("    if ", "    while True: pass\\n    if ", 1))
print(warm.Child(tests, module="rules.sameness", tree=endless, usual=usual, cpu_seconds=10**6, wall_seconds=250).wait().limit)
"""


def test_a_test_that_takes_ten_times_its_usual_time_is_ended_alone():
    done = subprocess.run([sys.executable, "-c", ENDLESS_WITHIN_A_TEST], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout.strip() == "processor time", done.stderr
