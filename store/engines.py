"""Chooses the engine that the settings name; the driver of PostgreSQL, an extra, is loaded only when it is asked for."""

import importlib
from collections.abc import Callable
from datetime import datetime

from store.backend import Backend
from store.settings import StoreSettings
from store.sqlite_backend import SqliteBackend


def open_backend(settings: StoreSettings, *, exclusive: bool = False, lease_clock: Callable[[], datetime] | None = None) -> Backend:
    """Connect; raises Permanent, Transient or Conflict with what to do."""
    if settings.postgres is None:
        return SqliteBackend(settings, exclusive=exclusive)
    found: Backend = importlib.import_module("store.postgres.backend").PostgresBackend(settings.postgres, lease_clock=lease_clock)
    return found
