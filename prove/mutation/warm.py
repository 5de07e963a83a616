"""Runs tests against a mutant in a forked child: libraries stay imported, our own modules are imported anew with the mutant among them."""

import ast
import contextlib
import importlib.abc
import importlib.machinery
import io
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTEST = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly", "--no-header", "--tb=no", "--hypothesis-seed=0")
MEMORY_BYTES = 4 << 30
NO_TESTS = 5  # pytest's exit code


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """How the tests ended: by their exit code, or by a limit; `failed` when they noticed."""

    code: int
    seconds: float
    limit: str = ""

    @property
    def failed(self) -> bool:
        """Whether a test failed, a module could not be imported, or a limit ended it."""
        return self.code != 0


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module its mutated code; every other module comes from where it always does."""

    def __init__(self, name: str, code: CodeType, file: Path) -> None:
        self.name, self.code, self.file = name, code, file

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """The spec of the mutant."""
        if fullname != self.name:
            return None
        spec = importlib.machinery.ModuleSpec(fullname, self, origin=str(self.file))
        spec.has_location = True
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutated code as the module."""
        exec(self.code, module.__dict__)


def warm(module: str, tests: Sequence[str]) -> None:
    """Import everything that these tests need, once, then forget what comes of the module under test; children are forked from here."""
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main([*PYTEST, "--collect-only", *tests])
    for name in _coming_of(module):
        package, _, own = name.rpartition(".")
        if package in sys.modules:
            vars(sys.modules[package]).pop(own, None)  # else `from package import module` finds the old one
        sys.modules.pop(name, None)


def _coming_of(module: str) -> set[str]:
    """The module and all of our own that import it, at any remove; and the library of metrics, where one of them names a metric."""
    imports = {name: _imported(found) for name, found in list(sys.modules.items()) if _is_ours(found)}
    found, fresh = set[str](), {module}
    while fresh:
        found |= fresh
        fresh = {name for name, names in imports.items() if names & found} - found
    if any("prometheus_client" in imports.get(name, ()) for name in found):
        found |= {name for name in sys.modules if name.partition(".")[0] == "prometheus_client"}
    return found


def _is_ours(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None) or ""
    return file.startswith(f"{ROOT}/") and f"{ROOT}/.venv" not in file


def _imported(module: ModuleType) -> set[str]:
    """The modules that a module names in its imports, wherever in it they stand, and the packages of them."""
    found = set[str]()
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return found


def run(tests: Sequence[str], *, module: str = "", tree: ast.Module | None = None, cpu_seconds: int, wall_seconds: float) -> Ran:
    """Run the tests in a child, against the mutant if one is given.

    The limit that counts is processor time, which a busy machine does not shorten; the wall is for a child that only waits.
    """
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _child(tests, module, tree, cpu_seconds)
    ended = began + wall_seconds
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        if time.monotonic() > ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Ran(code=-signal.SIGKILL, seconds=time.monotonic() - began, limit="wall clock")
        time.sleep(0.01)
    code = os.waitstatus_to_exitcode(status)
    if code == NO_TESTS:
        raise RuntimeError(f"pytest found no test in {' '.join(tests)}")
    return Ran(code=code, seconds=time.monotonic() - began, limit="processor time" if code == -signal.SIGXCPU else "")


def _child(tests: Sequence[str], module: str, tree: ast.Module | None, cpu_seconds: int) -> None:
    """The child's whole life: limits, the mutant in its place, the tests; never returns."""
    code = 1
    try:
        used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
        resource.setrlimit(resource.RLIMIT_CPU, (used + cpu_seconds, used + cpu_seconds + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        if tree is not None:
            file = ROOT / (module.replace(".", "/") + ".py")
            sys.meta_path.insert(0, _Finder(module, compile(tree, str(file), "exec"), file))
        code = int(pytest.main([*PYTEST, *tests]))
    finally:
        os._exit(code)
