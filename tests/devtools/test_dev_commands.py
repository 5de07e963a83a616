"""What `dev` judges by itself: names, locks, scores, sizes, fragments, coverage goals."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from devtools import adapter, checks, environment, lock, tests
from intake.parse import ADAPTERS

ROOT = Path(__file__).parents[2]


def dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "dev", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)


def test_a_command_that_is_not_there_is_answered_with_the_nearest_name():
    done = dev("chekc")
    assert done.returncode == 2
    assert "did you mean 'check'?" in done.stderr


def test_help_lists_every_command_and_sets_nothing_up():
    done = dev("--help")
    assert done.returncode == 0
    assert all(f"python3 dev {command}" in done.stdout for command in ("demo", "test", "check", "bench", "prove", "lock", "new adapter"))


def test_nearest_is_silent_when_nothing_is_near():
    assert environment.nearest("zzz", ["check", "demo"]) == ""


def test_the_stamp_changes_with_a_lock_file(tmp_path):
    file = tmp_path / "run.txt"
    file.write_text("one==1\n")
    before = environment.stamp_of([file])
    file.write_text("one==2\n")
    assert environment.stamp_of([file]) != before


def test_an_environment_that_was_moved_is_made_anew(tmp_path):
    there = tmp_path / ".venv" / "bin"
    there.mkdir(parents=True)
    (there / "triaged").write_text("#!/elsewhere/.venv/bin/python\n")
    assert environment.was_moved(tmp_path)
    (there / "triaged").write_text(f"#!{there / 'python'}\n")
    assert not environment.was_moved(tmp_path)


def test_a_requirement_at_another_version_is_out_of_step():
    text = "# head\none==1.0 \\\n    --hash=sha256:00\ntwo-words==2.0 \\\n    --hash=sha256:11\n"
    assert lock.pinned(text) == {"one": "1.0", "two-words": "2.0"}
    assert lock.out_of_step(["One==1.0", "two_words==2.0"], text) == []
    assert lock.out_of_step(["one==1.1", "three==3"], text) == ["one==1.1", "three==3"]


def test_the_locks_hold_what_pyproject_asks_for():
    assert checks.locks(ROOT) == []


def test_a_lock_that_disagrees_with_pyproject_with_an_extra_or_with_another_lock_is_found(tmp_path):
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert checks.locks(tmp_path) == []
    for group, before, after, found in (
        ("dev", "pytest==", "pytest==0.", "pytest==9"),
        ("dev", "tnefparse==", "tnefparse==0.", "the extra tnefparse=="),
        ("deploy", "requests==", "requests==0.", "requests is"),
    ):
        file = tmp_path / "requirements" / f"{group}.txt"
        kept = file.read_text()
        file.write_text(kept.replace(before, after))
        assert any(found in each for each in checks.locks(tmp_path)), checks.locks(tmp_path)
        file.write_text(kept)


def test_what_is_locked_beside_the_direct_requirements_stays_where_it_is():
    pins = lock.kept(ROOT)
    assert "pytest" not in {each.partition("==")[0] for each in pins}
    assert lock.at_two_versions(pins) == []
    assert {"pluggy", "anyio", "urllib3"} <= {each.partition("==")[0] for each in pins}
    assert lock.at_two_versions(["one==1", "one==2", "two==1", "two==1"]) == ["one"]


def test_a_score_may_only_rise(tmp_path):
    base_line = tmp_path / "score.toml"
    assert checks.compare(base_line, {"mails": {"kind": 5}}, write=False) != []
    assert checks.compare(base_line, {"mails": {"kind": 5, "hard/soft": 2}}, write=True) == []
    assert tomllib.loads(base_line.read_text()) == {"mails": {"kind": 5, "hard/soft": 2}}
    assert checks.compare(base_line, {"mails": {"kind": 6, "hard/soft": 2}}, write=False) == []
    assert checks.compare(base_line, {"mails": {"kind": 4, "hard/soft": 2}}, write=True) == ["mails kind: 4 pass, the base line is 5"]
    assert checks.compare(base_line, {}, write=False) == [
        "mails kind: 0 pass, the base line is 5",
        "mails hard/soft: 0 pass, the base line is 2",
    ]
    assert checks.compare(base_line, {"mails": {"kind": 7, "hard/soft": 2}}, write=True) == []
    assert tomllib.loads(base_line.read_text())["mails"]["kind"] == 7


def test_the_scorers_table_is_read_by_source_and_column():
    assert checks.table({"keep": {"cases": 12, "events": [10, 7], "kind": None}}) == {"keep": {"events": 7}}


def test_long_files_and_functions_are_found(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "long.py").write_text("x = 1\n" * 501)
    (tmp_path / "function.py").write_text("def f():\n" + "    x = 1\n" * 60)
    (tmp_path / "fine.py").write_text("def f():\n" + "    x = 1\n" * 59)
    assert checks.sizes(tmp_path) == [
        "function.py:1: f has 61 lines, at most 60",
        "long.py: 501 lines, at most 500: two rooms?",
    ]


@pytest.mark.parametrize(
    ("name", "good"), [("door.feature.md", True), ("door.feature.2.md", True), ("door.md", False), ("door.nonsense.md", False)]
)
def test_a_fragment_is_named_so_that_it_will_be_found(tmp_path, name, good):
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    (tmp_path / "changelog.d").mkdir()
    (tmp_path / "changelog.d" / name).write_text("text")
    assert (checks.fragments(tmp_path) == []) is good


def test_a_tool_that_fails_gives_its_output_and_one_that_passes_nothing():
    assert checks.command([sys.executable, "-c", "print('why'); raise SystemExit(1)"]) == ["why"]
    assert checks.command([sys.executable, "-c", "print('fine')"]) == []


def test_coverage_short_of_its_goals_is_told_by_file():
    files = {
        name: {"summary": {"percent_covered": percent}}
        for name, percent in (("itsm/act.py", 99.0), ("rules/mail.py", 100.0), ("store/x.py", 1.0))
    }
    measured = {"totals": {"percent_covered": 90.0}, "files": files}
    assert tests.short_of(measured) == [
        "coverage is 90.0 %, the goal is 95 %",
        "itsm/act.py is covered to 99.0 %, the goal for pure code is 100 %",
    ]


def test_lines_exempted_from_coverage_stay_under_the_cap():
    assert tests.too_many_pragmas(ROOT) == []


def test_what_this_machine_lacks_is_said_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIAGED_CORPORA", str(tmp_path))
    no_fuse = tmp_path / "python"
    no_fuse.write_text("#!/bin/sh\necho there is no /dev/fuse that we may open\n")
    no_fuse.chmod(0o755)
    lines = tests.missing(ROOT, str(no_fuse), ["swaks"])
    assert lines == [
        "swaks cannot be run here: its tests are not collected",
        "there is no /dev/fuse that we may open: tests on a failing disk are not collected",
        "no corpora (set TRIAGED_CORPORA): their tests are not collected",
    ]


def test_prove_without_a_name_lists_the_proofs_and_not_what_helps_them():
    done = dev("prove")
    assert done.returncode == 0
    names = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"crash", "powercut", "simulate"} <= names
    assert not {"daemon", "ledger", "clients"} & names
    assert "did you mean 'crash'?" in dev("prove", "crsh").stderr


def test_a_new_adapter_gets_module_test_fixtures_and_page_and_never_overwrites(tmp_path, capsys):
    assert adapter.run(tmp_path, ["adapter", "nagios"]) == 0
    module = tmp_path / "intake" / "adapters" / "nagios.py"
    assert "def parse(" in module.read_text()
    assert (tmp_path / "tests" / "intake" / "adapters" / "test_nagios_adapter.py").is_file()
    assert (tmp_path / "tests" / "fixtures" / "alerts" / "nagios").is_dir()
    assert (tmp_path / "docs" / "reference" / "adapters" / "nagios.md").is_file()
    assert adapter.run(tmp_path, ["adapter", "nagios"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert adapter.run(tmp_path, ["adapter", "Not-A-Name"]) == 2


def test_the_skeleton_of_an_adapter_passes_the_linter_and_parses(tmp_path):
    assert adapter.run(tmp_path, ["adapter", "nagios"]) == 0
    module = tmp_path / "intake" / "adapters" / "nagios.py"
    (module.parent / "__init__.py").touch()
    command = [sys.executable, "-m", "ruff", "check", "--quiet", "--config", str(ROOT / "pyproject.toml"), str(module)]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == ""
    code = (
        "import sys; from datetime import UTC, datetime; from intake.context import ParseContext; import nagios;"
        "found = nagios.parse(sys.stdin.buffer.read(), ParseContext(source='n', received_at=datetime(2026, 1, 1, tzinfo=UTC)));"
        "assert found[0].series_key == 'k', found"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b'{"title": "t", "status": "up", "key": "k"}',
        env={"PYTHONPATH": f"{ROOT}:{module.parent}"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_every_adapter_has_a_page(name):
    assert (ROOT / "docs" / "reference" / "adapters" / f"{name}.md").is_file()
