"""A whole copy of the store while it runs: a directory with the database and a manifest that says what it must be."""

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from itsm.errors import Conflict, Permanent
from store.durable import sync_directory, write_durably
from store.sqlite_backend import DATABASE_FILE
from store.step import step

MANIFEST_FILE = "manifest.json"
FORMAT = 1
READ_BYTES = 1024 * 1024


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished backup holds. `format` is of the backup, `schema` of the database."""

    format: int
    schema: str
    created_at: datetime
    size_bytes: int
    sha256: str


def backup(database: Path, target: Path, *, now: datetime) -> Manifest:
    """Copy the database, as of one instant, to a new directory; the daemon goes on meanwhile.

    The copy is made under another name and renamed when it is whole and on disk, so a directory named `target` is
    never half a backup. It holds the signing keys: it is as secret as the store. Raises Conflict when `target` is
    there already, Permanent when the copy cannot be made.
    """
    if target.exists():
        raise Conflict(f"{target} is there already; name a new directory for the backup")
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700, parents=True)
        copy = unfinished / DATABASE_FILE
        schema = _copy(database, copy)
        step("backup.copied")
        manifest = Manifest(format=FORMAT, schema=schema, created_at=now, size_bytes=copy.stat().st_size, sha256=sha256_of(copy))
        write_durably(unfinished / MANIFEST_FILE, msgspec.json.format(msgspec.json.encode(manifest)))
        sync_directory(unfinished)
        step("backup.described")
        unfinished.rename(target)
        sync_directory(target.parent)
        step("backup.named")
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise Permanent(f"the backup to {target} failed: {error}") from error
    return manifest


def _copy(database: Path, copy: Path) -> str:
    """SQLite's online backup in one step, one read transaction; the copy needs no file beside it. Returns its schema."""
    copy.touch(mode=0o600)
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
        (schema,) = target.execute("SELECT version_num FROM alembic_version").fetchone()
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    return str(schema)


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a backup; raises Permanent when this is not a finished one, or one of a newer triaged."""
    try:
        manifest = msgspec.json.decode((directory / MANIFEST_FILE).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise Permanent(f"{directory} is not a finished backup: {error}") from error
    if manifest.format != FORMAT:
        raise Permanent(f"{directory} has backup format {manifest.format}, this triaged reads {FORMAT}: upgrade triaged")
    return manifest


def sha256_of(file: Path) -> str:
    """The hex digest of a file, read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
