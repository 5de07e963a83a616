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
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTEST = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly", "--no-header", "--tb=no", "--hypothesis-seed=0")
MEMORY_BYTES = 4 << 30
NO_TESTS = 5  # pytest's exit code
LEAST_TEST_SECONDS, TIMES_THE_USUAL = 2.0, 10  # of processor time, that a test may take
PAUSE_SECONDS = 0.01  # between two looks at a child


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a child tells of its tests: the one that failed, if one did, and the processor time that each took."""

    killer: str = ""
    seconds: dict[str, float] = {}


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """How the tests ended: by their exit code, or by a limit; `failed` when they noticed."""

    code: int
    seconds: float
    limit: str = ""
    seen: Seen = Seen()

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


class _Watching:
    """A plugin of the child's pytest: runs the tests in the order of `usual`, those it does not name last, and keeps which failed.

    A test that takes far more processor time than is usual ends the child: nobody waits for a loop without end through all the tests.
    """

    def __init__(self, usual: Mapping[str, float]) -> None:
        self.place = {each: at for at, each in enumerate(usual)}
        self.usual = usual
        self.killer, self.seconds = "", dict[str, float]()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The order; all of them stay."""
        items.sort(key=lambda each: self.place.get(each.nodeid, len(self.place)))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """A test within its limit."""
        began, usual = time.process_time(), self.usual.get(item.nodeid)
        if usual is not None:
            signal.setitimer(signal.ITIMER_PROF, LEAST_TEST_SECONDS + TIMES_THE_USUAL * usual)
        yield
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.seconds[item.nodeid] = time.process_time() - began

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test."""
        if report.failed and not self.killer:
            self.killer = report.nodeid


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


class Child:
    """Tests that run in a child of ours, against the mutant if a tree is given; `ended` says how they ended.

    `usual` is the processor time of tests, in the order in which they are run before all others; each has ten times as much.
    The limits that count are of processor time, which a busy machine does not shorten; the wall is for a child that only waits.
    """

    def __init__(
        self,
        tests: Sequence[str],
        *,
        module: str = "",
        tree: ast.Module | None = None,
        usual: Mapping[str, float] | None = None,
        cpu_seconds: int,
        wall_seconds: float,
    ) -> None:
        self.tests, self.module, self.tree, self.cpu_seconds = tests, module, tree, cpu_seconds
        self.told = tempfile.TemporaryFile()  # noqa: SIM115 -- it lives as long as the child
        self.began = time.monotonic()
        self.until = self.began + wall_seconds
        self.pid = os.fork()
        if self.pid == 0:
            self._live(usual or {})

    def ended(self) -> Ran | None:
        """How it ended; None while it runs. One that is past its wall is killed."""
        found, status = os.waitpid(self.pid, os.WNOHANG)
        limit = ""
        if not found:
            if time.monotonic() <= self.until:
                return None
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
            limit = "wall clock"
        code = os.waitstatus_to_exitcode(status)
        if code == NO_TESTS:
            raise RuntimeError(f"pytest found no test in {' '.join(self.tests)}")
        self.told.seek(0)
        told = self.told.read()
        self.told.close()
        seen = msgspec.json.decode(told, type=Seen) if told else Seen()
        limit = limit or ("processor time" if code in (-signal.SIGXCPU, -signal.SIGPROF) else "")
        return Ran(code=code, seconds=time.monotonic() - self.began, limit=limit, seen=seen)

    def wait(self) -> Ran:
        """How it ended, once it has."""
        while (ran := self.ended()) is None:
            time.sleep(PAUSE_SECONDS)
        return ran

    def _live(self, usual: Mapping[str, float]) -> None:
        """The child's whole life: limits, the mutant in its place, the tests; never returns."""
        code = 1
        try:
            used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
            resource.setrlimit(resource.RLIMIT_CPU, (used + self.cpu_seconds, used + self.cpu_seconds + 5))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            if self.tree is not None:
                file = ROOT / (self.module.replace(".", "/") + ".py")
                sys.meta_path.insert(0, _Finder(self.module, compile(self.tree, str(file), "exec"), file))
            watching = _Watching(usual)
            code = int(pytest.main([*PYTEST, *self.tests], plugins=[watching]))
            self.told.write(msgspec.json.encode(Seen(killer=watching.killer, seconds=watching.seconds)))
            self.told.flush()
        finally:
            os._exit(code)
