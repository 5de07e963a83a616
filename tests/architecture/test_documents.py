"""The documents hold: links lead somewhere, every decision is listed, marked examples run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(file for file in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted(file for file in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(sh|python) test\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [(page, match[1], match[2]) for page in PAGES for match in BLOCK.finditer(page.read_text())]
SECTIONS = ("Context", "Options", "Decision", "Consequences", "What would make us revisit")


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, made as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_link_of_a_page_leads_to_something_in_the_repository(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for found in LINK.finditer(text):
        target, _, anchor = (found[1] or found[2]).partition("#")
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file.read_text())):
            broken.append(found[0])
    assert broken == []


def test_every_page_of_docs_is_reached_from_its_index():
    index = (ROOT / "docs" / "README.md").read_text() + (ROOT / "docs" / "adr" / "README.md").read_text()
    pages = {file for file in (ROOT / "docs").rglob("*.md") if file.name not in ("README.md", "template.md")}
    assert sorted(relative(file) for file in pages if file.name not in index) == []


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda file: file.stem)
def test_a_decision_is_listed_numbered_and_has_every_section(decision):
    text = decision.read_text()
    assert text.startswith(f"# {decision.name[:4]} ")
    assert f"]({decision.name})" in (decision.parent / "README.md").read_text()
    assert [f"## {section}" for section in SECTIONS if f"\n## {section}\n" not in text] == []


def test_decisions_are_numbered_without_gap():
    assert [file.name[:4] for file in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]


@pytest.mark.parametrize(
    ("page", "language", "code"), EXAMPLES, ids=[f"{relative(page)}-{number}" for number, (page, _, _) in enumerate(EXAMPLES)]
)
def test_a_marked_example_runs(page, language, code, tmp_path):
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-c", code] if language == "python" else ["bash", "-euo", "pipefail", "-c", code]
    environment = {**os.environ, "PATH": search, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
