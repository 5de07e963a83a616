"""Rules of the house that no other tool holds."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
MODULES = sorted(file for root in SHIPPED for file in (ROOT / root).rglob("*.py"))
BROAD = {"Exception", "BaseException"}


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def tracked_texts() -> list[Path]:
    """Every file of the project that is text, seen by git or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    files = [ROOT / name for name in listed] or [each for each in ROOT.rglob("*") if not set(each.parts) & {".venv", ".git"}]
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()[:8_000]]


def broad_without_reason(source: str) -> list[int]:
    """Lines of broad handlers that neither raise again at their end nor say beside `except` which boundary they are."""
    lines = source.splitlines()
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in BROAD)):
            raises = isinstance(node.body[-1], ast.Raise)
            if not raises and " # " not in lines[node.lineno - 1]:
                found.append(node.lineno)
    return found


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_a_broad_except_raises_again_or_says_which_boundary_it_is(module):
    assert broad_without_reason(module.read_text()) == []


def test_the_check_tells_a_boundary_from_a_swallowed_error():
    head = "try:\n    work()\n"
    assert broad_without_reason(head + "except Exception:\n    pass\n") == [3]
    assert broad_without_reason(head + "except:\n    pass\n") == [3]
    assert broad_without_reason(head + "except Exception:  # the boundary of one item\n    park()\n") == []
    assert broad_without_reason(head + "except BaseException:\n    close()\n    raise\n") == []
    assert broad_without_reason(head + "except ValueError:\n    pass\n") == []


def test_every_exemption_from_a_tool_gives_its_reason():
    exemption = re.compile(r"# (?:type: ignore\[[a-z, -]+\]  # \S|noqa: [A-Z0-9, ]+ -- \S|pragma: no cover -- \S)")
    mark = re.compile(r"#\s*(?:type:\s*ignore|noqa\b|pragma:\s*no)")
    found = []
    for file in [*MODULES, *sorted((ROOT / "devtools").glob("*.py")), ROOT / "dev"]:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if mark.search(line) and not exemption.search(line):
                found.append(f"{relative(file)}:{number}: {line.strip()}")
    assert found == []


def test_imports_stand_at_the_top_except_where_a_command_is_loaded_late():
    found = []
    for module in MODULES:
        tree = ast.parse(module.read_text())
        inner = [node for top in tree.body for node in ast.walk(top) if node is not top and isinstance(node, (ast.Import, ast.ImportFrom))]
        guarded = {id(node) for top in tree.body if isinstance(top, (ast.If, ast.Try)) for node in ast.walk(top)}
        found += [f"{relative(module)}:{node.lineno}" for node in inner if id(node) not in guarded]
    assert found == []


def test_no_test_is_skipped_or_mocked_and_nothing_is_left_to_do():
    words = [
        "unittest" + ".mock",
        "Magic" + "Mock",
        "pytest.mark." + "skip",
        "pytest." + "skip(",
        "import" + "orskip",
        "# TO" + "DO",
        "# FIX" + "ME",
    ]
    found = []
    for file in tracked_texts():
        if file.suffix == ".py":
            text = file.read_text()
            found += [f"{relative(file)}: {word}" for word in words if word in text]
    assert found == []


def test_no_file_names_a_machine():
    homes = re.compile(r"(?<![\w.~-])/(?:home|Users)/[a-z]\w*/|(?<![\w.-])/root/")
    found = []
    for file in tracked_texts():
        text = file.read_text(errors="replace")
        if str(ROOT) + "/" in text or (homes.search(text) and "tests/fixtures" not in relative(file) and file != Path(__file__)):
            found.append(relative(file))
    assert found == []


def test_the_lock_files_name_no_host():
    for file in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in file.read_text()
        assert "--index" not in file.read_text()
