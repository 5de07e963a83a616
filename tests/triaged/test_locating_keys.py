"""The locator of lines in TOML text: right where it is sure, silent where it is not, and it never fails."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triaged.locate import line_of, line_of_syntax_error, lines_of

TEXT = '''\
# a comment
[desk]
name = "Desk"   # [not.a.table]
address = 'desk@example.org'

[[team]]
key = "one"
addresses = [
  "a@example.org",  # a = 1
  "[b]@example.org",
]

[[team]]
key = "two"
notes = """
[intake]
fake = 1
"""
quoted = \'\'\'
x = "y
\'\'\'
"odd key" . inner = 3

[intake.smtp]
listen = "127.0.0.1:25"
login = [{ name = "x" }]
[[intake.source]]
name = "s"
[intake.source.mapping]
title = ["t"]
[[intake.source]]
name = "escaped \\" quote"
last.one = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("desk",), 2),
        (("desk", "name"), 3),
        (("desk", "address"), 4),
        (("team", 0), 6),
        (("team", 0, "addresses"), 8),
        (("team", 0, "addresses", 1), 8),
        (("team", 1, "key"), 14),
        (("team", 1, "quoted"), 19),
        (("team", 1, "odd key", "inner"), 22),
        (("intake", "smtp", "login", 0, "name"), 26),
        (("intake", "source", 0, "name"), 28),
        (("intake", "source", 0, "mapping", "title"), 30),
        (("intake", "source", 1, "name"), 32),
        (("intake", "source", 1, "last", "one"), 33),
        (("intake", "source", 0, "mapping", "nothing"), 29),
        (("nowhere", "at", "all"), None),
    ],
)
def test_a_path_is_found_on_its_line(path: tuple[str | int, ...], line: int | None) -> None:
    tomllib.loads(TEXT)
    assert line_of(lines_of(TEXT), path) == line


def test_the_line_of_a_syntax_error_is_read_from_the_message() -> None:
    assert line_of_syntax_error("Expected '=' after a key (at line 7, column 3)") == 7
    assert line_of_syntax_error("Unexpected end (at end of document)") is None


@given(st.text(alphabet="ab[]{}=\"'\\#.\n ,1", max_size=200))
def test_it_never_fails_whatever_it_reads(text: str) -> None:
    for line in lines_of(text).values():
        assert 1 <= line <= text.count("\n") + 1


names = st.sampled_from(["a", "b", "c1", "d-e", "f_g"])
values = st.sampled_from(["1", '"x"', "[1,\n 2]", '"""\n[a]\nb = 1\n"""', "{ a = 1 }", "'#'", "true # [x]"])


@given(st.lists(st.tuples(names, st.dictionaries(names, values, max_size=4)), max_size=5, unique_by=lambda each: each[0]))
def test_every_key_that_tomllib_reads_has_its_line(tables: list[tuple[str, dict[str, str]]]) -> None:
    lines = []
    for table, keys in tables:
        lines.append(f"[{table}]")
        lines += [f"{name} = {value}" for name, value in keys.items()]
    text = "\n".join(lines) + "\n"
    found = lines_of(text)
    for table, keys in tomllib.loads(text).items():
        for name in keys:
            assert text.split("\n")[found[table, name] - 1].startswith(f"{name} = ")
