"""What is generated is complete, valid and up to date."""

import json
import tomllib
from pathlib import Path

from triaged import reference
from triaged.configuration import Configuration
from triaged.documents import example, schema, tables, toml
from triaged.loading import load
from triaged.main import VERBS, cli
from triaged.shape import fields_of, type_text


def uncommented() -> str:
    """The example with every key switched on."""
    lines = [line[1:] if line.startswith("#") and not line.startswith("# ") and len(line) > 1 else line for line in example().splitlines()]
    return "\n".join(lines) + "\n"


def test_the_example_with_every_key_switched_on_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "triaged.toml"
    file.write_text(uncommented())
    (tmp_path / "secrets").mkdir()
    for name in ("scanner", "zabbix", "relay", "database", "mailbox", "m365"):
        (tmp_path / "secrets" / name).write_text("secret\n")
    configuration = load(str(file), {}).configuration
    assert configuration.service[0].key == "vpn"
    assert configuration.notifier.relay is not None


def test_the_example_as_it_is_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "triaged.toml"
    file.write_text(example())
    assert load(str(file), {}).configuration == Configuration()


def test_the_example_names_every_key_and_describes_it() -> None:
    data = tomllib.loads(uncommented())
    for path, table, _ in tables(Configuration):
        here = data
        for name in filter(None, path.split(".")):
            here = here[name][0] if isinstance(here[name], list) else here[name]
        for field in fields_of(table):
            assert field.name in here, f"{path}.{field.name}"
            assert field.description.endswith("."), f"{path}.{field.name} has no description that is a sentence"


def test_the_generated_documents_are_up_to_date(capsys) -> None:
    assert reference.main(["--check"]) == 0, capsys.readouterr().err


def test_a_document_that_is_out_of_date_is_named_and_written_anew(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    assert reference.main(["--check"]) == 1
    assert "docs/reference/cli.md is out of date" in capsys.readouterr().err
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0


def test_every_verb_is_in_the_reference_with_the_line_that_help_shows() -> None:
    text = reference.command_line()
    for name, verb in VERBS.items():
        command = cli.get_command(None, name)  # type: ignore[arg-type]  # no context is needed
        assert command is not None
        assert command.short_help == verb.help
        assert f"## `triaged {name}" in text


def test_the_schema_is_json_and_knows_the_tables() -> None:
    text = json.dumps(schema())
    assert "SmtpSettings" in text
    assert "Largest mail, in bytes." in text


def test_values_are_written_as_toml() -> None:
    values = {"a": True, "b": 1.5, "c": ["x", "y"], "d": {"k e": {"n": 1}}, "e": {}, "f": 'q"\n'}
    for value in values.values():
        assert tomllib.loads(f"v = {toml(value)}")["v"] == value


def test_a_type_nobody_has_words_for_is_written_as_python_does() -> None:
    assert type_text(bytes) == "<class 'bytes'>"
    assert type_text(int | str) == "int | str"
