"""Attack A47: hostile strings through every option and argument of the command line that looks something up in the store."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.hostile import HOSTILE
from tests.triaged.conftest import Said, spoken
from triaged.main import VERBS, cli

LOOK_UP = ("explain", "replay", "ticket", "people", "queue", "token", "oauth")  # the others take files, or change the whole store
GIVEN = (*HOSTILE, "\udcff")  # an octet that is no UTF-8 stands so in an argument
CODES = {0, 1, 2, 3, 4, 5}


def leaves() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below these verbs."""
    waiting = [((name,), cli.get_command(click.Context(cli), name)) for name in LOOK_UP]  # type: ignore[attr-defined]  # a group
    while waiting:
        path, command = waiting.pop()
        assert command is not None
        if isinstance(command, click.Group):
            waiting += [((*path, name), command.commands[name]) for name in command.commands]
        else:
            yield path, command


def texts(command: click.Command) -> list[click.Parameter]:
    return [
        each for each in command.params if isinstance(each.type, click.types.StringParamType) and each.name not in ("config", "config_file")
    ]


LEAVES = [(path, command, parameter) for path, command in leaves() for parameter in texts(command)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    made = folder / "triaged.toml"
    made.write_text(f'[store]\npath = "{folder}/var"\n[[team]]\nkey = "desk"\nname = "Desk"\naddresses = ["desk@localhost"]\n')
    assert spoken("--config", str(made), "db", "upgrade").code == 0
    return made


def arguments_of(command: click.Command, parameter: click.Parameter, value: str) -> list[str]:
    """The command's least line, with the value where it goes."""
    line: list[str] = []
    for each in command.params:
        if each is parameter and isinstance(each, click.Option):
            line += [each.opts[0], value]
        elif isinstance(each, click.Option) and each.required:
            line += [each.opts[0], each.type.choices[0] if isinstance(each.type, click.Choice) else "x"]
    named = [value if each is parameter else "1" for each in command.params if isinstance(each, click.Argument)]
    return [*line, "--", *named]


def test_the_command_line_is_walked_whole() -> None:
    assert set(LOOK_UP) <= set(VERBS)
    assert len(LEAVES) >= 15


@pytest.mark.parametrize(("path", "command", "parameter"), LEAVES, ids=[f"{' '.join(path)} {each.name}" for path, _, each in LEAVES])
def test_a_hostile_string_is_answered_in_words(
    file: Path, path: tuple[str, ...], command: click.Command, parameter: click.Parameter
) -> None:
    for value in GIVEN:
        said: Said = spoken("--config", str(file), *path, *arguments_of(command, parameter, value))
        assert said.code in CODES, (value, said)
        assert "Traceback" not in said.err
        assert "should not happen" not in said.err, (value, said.err)
    assert spoken("--config", str(file), "verify").code == 0
