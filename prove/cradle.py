"""A process that has imported the daemon and forks one life of it after another: a start then costs no import.

What runs is `triaged run`, as from the command line; only the modules are there already. Each line on stdin starts a life, which is
answered by its process id, and by its exit code when it has ended. The cradle ends when its stdin does.
"""

import importlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any


class Life:
    """One life, as far as a user of `subprocess.Popen` needs it."""

    def __init__(self, cradle: "Cradle", pid: int) -> None:
        """It runs; `pid` is its process."""
        self._cradle, self.pid = cradle, pid
        self.returncode: int | None = None
        self.ended = threading.Event()

    def poll(self) -> int | None:
        """Its exit code once it has ended; negative: the signal."""
        return self.returncode

    def send_signal(self, which: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if not self.ended.is_set():
            os.kill(self.pid, which)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired."""
        if not self.ended.wait(timeout):
            raise subprocess.TimeoutExpired("triaged run", timeout or 0)
        assert self.returncode is not None
        return self.returncode


class Cradle:
    """Forks lives of one configuration, one at a time, that write to one log."""

    def __init__(self, configuration: Path, log: Path, *, synchronous: str = "FULL") -> None:
        """Start the process; it imports while we go on. `synchronous` is what SQLite is told, and asked for."""
        command = [sys.executable, "-m", "prove.cradle", str(configuration), synchronous]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}  # a kill writes none
        with log.open("ab") as opened:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=opened, env=environment)

    def life(self) -> Life:
        """Start a life; the one before must have ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        life = Life(self, int(self._process.stdout.readline()))
        threading.Thread(target=self._watch, args=(life,), daemon=True).start()
        return life

    def _watch(self, life: Life) -> None:
        assert self._process.stdout is not None
        life.returncode = int(self._process.stdout.readline() or b"-9")
        life.ended.set()

    def close(self) -> None:
        """End the cradle; a life must have ended before."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def without_defence(synchronous: str) -> None:
    """Let the store run, in this process only, on a setting that it refuses: what is lost then shows that the proof can fail."""
    engine: Any = importlib.import_module("store.engine")
    engine.PRAGMAS = tuple(f"synchronous = {synchronous}" if each.startswith("synchronous") else each for each in engine.PRAGMAS)
    engine.REQUIRED = {name: value for name, value in engine.REQUIRED.items() if name != "synchronous"}


def serve(configuration: str, synchronous: str) -> None:
    """Import, then fork at each line."""
    for name in ("triaged.run", "triaged.wiring", "triaged.main", "triaged.commands.run", "uvloop", "alembic.runtime.migration"):
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    if synchronous != "FULL":
        without_defence(synchronous)
    while sys.stdin.buffer.readline():
        pid = os.fork()
        if pid == 0:
            _live(configuration)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _live(configuration: str) -> None:
    """Be the daemon, and end as it ends."""
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        sys.argv = ["triaged", "run", "--config", configuration]
        importlib.import_module("triaged.main").main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
