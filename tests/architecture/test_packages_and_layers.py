"""The eight packages are the same on the disk, in pyproject.toml and for the tools."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOTS = {"itsm", "rules", "store", "casework", "intake", "notifier", "webportal", "triaged"}
NOT_SHIPPED = {"bench", "devtools", "prove", "tests"}


def packages_on_disk() -> set[str]:
    return {
        ".".join(each.parent.relative_to(ROOT).parts)
        for top in ROOT.iterdir()
        if top.is_dir() and not top.name.startswith(".") and top.name not in NOT_SHIPPED
        for each in top.rglob("__init__.py")
    }


def test_pyproject_lists_exactly_the_packages_on_the_disk():
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert set(listed) == packages_on_disk()
    assert len(listed) == len(set(listed))


def test_there_are_eight_roots_and_the_tools_see_each_of_them():
    assert {name.partition(".")[0] for name in packages_on_disk()} == ROOTS
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == ROOTS
    assert set(PROJECT["tool"]["coverage"]["run"]["source_pkgs"]) == ROOTS
    assert set(PROJECT["tool"]["mypy"]["files"]) >= ROOTS


def test_the_layers_contract_names_every_root_once():
    layers = next(each for each in PROJECT["tool"]["importlinter"]["contracts"] if each["type"] == "layers")["layers"]
    named = [name.strip() for layer in layers for name in layer.split("|")]
    assert sorted(named) == sorted(ROOTS)


def test_every_folder_with_code_is_a_package():
    folders = {file.parent for root in ROOTS for file in (ROOT / root).rglob("*.py")}
    assert [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_data_files_lie_where_pyproject_takes_them_from():
    for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items():
        for pattern in patterns:
            assert list((ROOT / package.replace(".", "/")).glob(pattern)), f"{package}: no file matches {pattern}"


@pytest.mark.parametrize("package", sorted(packages_on_disk()))
def test_a_package_says_what_it_is_and_holds_no_code_in_its_init(package):
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text())
    assert ast.get_docstring(tree)
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
    assert all(isinstance(node, allowed) for node in tree.body)
