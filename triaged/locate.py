"""Finds the line of a key in TOML text, because tomllib does not tell (design 8).

A linear scanner of its own: it reads table headers and the names before `=`, steps over strings, comments and brackets, and
never fails. What it does not understand it does not list, and then only the path is shown.
"""

import re

Path = tuple[str | int, ...]
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SYNTAX_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_QUOTES = ('"""', "'''", '"', "'")


def line_of_syntax_error(message: str) -> int | None:
    """The line that a message of tomllib names, None when it names the end of the document."""
    found = _SYNTAX_LINE.search(message)
    return int(found[1]) if found else None


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """The line of a path, or of the nearest thing around it that the file says; None when it says nothing of it."""
    for length in range(len(path), 0, -1):
        found = lines.get(path[:length])
        if found is not None:
            return found
    return None


def lines_of(text: str) -> dict[Path, int]:
    """The line, counted from 1, of every table, array item and key of a TOML text."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    at, number = 0, 1
    while at < len(text):
        end = _end_of_statement(text, at)
        statement = text[at:end]
        stripped = statement.lstrip(" \t\r\n")
        line = number + statement[: len(statement) - len(stripped)].count("\n")
        if stripped.startswith("[["):
            table = _item(_names(stripped[2:])[0], counts)
            lines.setdefault(table, line)
        elif stripped.startswith("["):
            table = _resolve(_names(stripped[1:])[0], counts)
            lines.setdefault(table, line)
        elif stripped and not stripped.startswith("#"):
            names, rest = _names(stripped)
            if names and rest.lstrip(" \t").startswith("="):
                lines.setdefault((*table, *names), line)
        number += statement.count("\n")
        at = end
    return lines


def _item(names: tuple[str, ...], counts: dict[Path, int]) -> Path:
    """The path of one more `[[a.b]]`."""
    base = (*_resolve(names[:-1], counts), *names[-1:])
    counts[base] = counts.get(base, -1) + 1
    return (*base, counts[base])


def _resolve(names: tuple[str, ...], counts: dict[Path, int]) -> Path:
    """The path of `[a.b]`, where each name that is an array of tables means its last item."""
    path: Path = ()
    for name in names:
        path = (*path, name)
        if path in counts:
            path = (*path, counts[path])
    return path


def _names(text: str) -> tuple[tuple[str, ...], str]:
    """The dotted names a text begins with, bare or quoted, and what follows them."""
    names: list[str] = []
    while True:
        text = text.lstrip(" \t")
        if text[:1] in ('"', "'"):
            close = text.find(text[0], 1)
            name, text = (text[1:close], text[close + 1 :]) if close > 0 else ("", "")
        else:
            found = _BARE.match(text)
            name, text = (found[0], text[found.end() :]) if found else ("", text)
        if not name:
            return tuple(names), text
        names.append(name)
        text = text.lstrip(" \t")
        if not text.startswith("."):
            return tuple(names), text
        text = text[1:]


def _end_of_statement(text: str, at: int) -> int:
    """Where the statement that begins here ends: after the first newline outside of strings and brackets."""
    depth = 0
    while at < len(text):
        quote = next((each for each in _QUOTES if text.startswith(each, at)), None)
        if quote:
            at = _end_of_string(text, at + len(quote), quote)
            continue
        character = text[at]
        if character == "#":
            newline = text.find("\n", at)
            at = len(text) if newline < 0 else newline
            continue
        at += 1
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "\n" and depth <= 0:
            return at
    return at


def _end_of_string(text: str, at: int, quote: str) -> int:
    """Where a string ends; one that is not closed ends with its line, or with the text when it may span lines."""
    basic = quote[0] == '"'
    while at < len(text):
        if basic and text[at] == "\\":
            at += 2
        elif text.startswith(quote, at):
            return at + len(quote)
        elif text[at] == "\n" and len(quote) == 1:
            return at
        else:
            at += 1
    return len(text)
