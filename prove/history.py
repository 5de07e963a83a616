"""Code of the past: which commit of this repository last worked on each version of the schema, and a copy of it."""

import subprocess
import tarfile
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[1]
MIGRATIONS = "store/migrations/versions"


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """The last commit before a migration was added, and the version of the schema it works on."""

    version: str
    commit: str

    def copy(self, folder: Path) -> Path:
        """Its files, below a new folder."""
        archive = _git("archive", self.commit)
        with tarfile.open(fileobj=BytesIO(archive)) as opened:
            opened.extractall(folder, filter="data")
        return folder


def pasts() -> list[Past]:
    """What every migration but the first was added to, the oldest first; design 5: the last of them is N-1."""
    files = sorted((ROOT / MIGRATIONS).glob("0*_*.py"))
    found = []
    for before, added in pairwise(files):
        commits = _git("log", "--diff-filter=A", "--format=%H", "--", f"{MIGRATIONS}/{added.name}").decode().split()
        parent = f"{commits[-1]}^" if commits else "HEAD"  # one that is not committed yet
        found.append(Past(version="_".join(before.stem.split("_")[:2]), commit=_git("rev-parse", parent).decode().strip()))
    return found


def why_not() -> str | None:
    """Why there is no past to be had; None where there is one for every version but ours."""
    try:
        return None if pasts() else "there is only one version of the schema"
    except (OSError, subprocess.CalledProcessError):
        return "no git, or its history is not here (a shallow clone, an archive), so there is no old code to run"


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout
