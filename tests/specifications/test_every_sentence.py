"""A test of a specification names its section and says what the sentence says."""

import ast
import re
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parent.glob("test_rfc*.py"))
NAMED = re.compile(r"RFC \d{4} \d[\d.]*(?:,? and [\d.]+|, [\d.]+)*: \S.{20,}")
BINDING = ("2", "3.1.1", "3.1.2", "3.1.3", "3.1.4", "3.1.5", "3.1.6", "3.1.7", "3.1.8", "3.2", "3.3", "4", "5.1", "5.2")  # of RFC 3834


def functions_of(file):
    return [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_names_its_section_and_its_sentence(file):
    for node in functions_of(file):
        told = " ".join((ast.get_docstring(node) or "").split())
        assert NAMED.match(told), f"{file.name}: {node.name}: {told!r}"


def test_every_section_that_binds_a_service_responder_has_one():
    told = " ".join(ast.get_docstring(node) or "" for file in FILES for node in functions_of(file))
    assert [each for each in BINDING if not re.search(rf"\b{re.escape(each)}(?=[:, ]| and)", told)] == []
    assert sum(len(functions_of(file)) for file in FILES) >= 30
