"""What a message, a comment or a page tells people to type is there: verbs, options and choices."""

import re
import shlex
from pathlib import Path

import click
import pytest

from triaged.main import cli

ROOT = Path(__file__).parents[2]
FOLDERS = ("itsm", "rules", "store", "casework", "intake", "notifier", "webportal", "triaged", "docs", "README.md", "CONTRIBUTING.md")
NAMED = re.compile(r"`triaged ([a-z][^`\n{}]*)`")


def sources() -> list[Path]:
    files = [file for name in FOLDERS for file in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))]
    return [file for file in files if file.suffix in (".py", ".md", ".txt", ".html") and "__pycache__" not in file.parts]


def named() -> set[tuple[str, str]]:
    return {(str(file.relative_to(ROOT)), text) for file in sources() for text in NAMED.findall(file.read_text(encoding="utf-8"))}


def fault(text: str) -> str:
    """What is wrong with a line somebody is told to type; empty when nothing is."""
    here: click.Command = cli
    context = click.Context(here)
    words = iter(shlex.split(text.replace("...", " ").replace("[", " ").replace("]", " ")))
    for word in words:
        if word.isupper():  # COMMAND, NUMBER: a place for something
            continue
        if isinstance(here, click.Group) and not word.startswith("-"):
            found = here.get_command(context, word)
            if found is None:
                return f"there is no verb {word!r}"
            here = found
        elif word.startswith("-"):
            option = next((each for each in here.params if word.partition("=")[0] in each.opts), None)
            if option is None:
                return f"{here.name} has no option {word}"
            if (
                isinstance(option.type, click.Choice)
                and (value := next(words, ""))
                and value.islower()
                and value not in option.type.choices
            ):
                return f"{word} has no choice {value!r}"
    return ""


def test_every_command_that_people_are_told_to_type_is_there() -> None:
    wrong = {f"{file}: `triaged {text}`: {fault(text)}" for file, text in named() if fault(text)}
    assert wrong == set()
    assert len(named()) > 40


@pytest.mark.parametrize("text", ["queues list", "queue list --off outbox", "queue list --of outbin"])
def test_what_is_not_there_is_found(text: str) -> None:
    assert fault(text)
