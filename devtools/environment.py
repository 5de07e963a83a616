"""The virtual environment: made without ensurepip, filled from the hash-locked requirements, made again when they change."""

import difflib
import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

STAMP = "triaged-locks.sha256"
SERVERS, DEPLOY, API = "servers", "deploy", "api"  # groups that not every machine can have, or needs
SOURCE = "source"  # a group without wheels


def nearest(word: str, known: Iterable[str]) -> str:
    """`, did you mean ...?` for a word that is nearly one of the known ones."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def python(root: Path) -> Path:
    """The interpreter of the environment."""
    return root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def lock_files(root: Path, groups: Iterable[str]) -> list[Path]:
    """The lock files of these groups."""
    return [root / "requirements" / f"{group}.txt" for group in groups]


def stamp_of(files: Iterable[Path]) -> str:
    """What the environment was made from: the locks, the interpreter, and where the checkout lies."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {Path(__file__).resolve().parent}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def ensure(root: Path, groups: tuple[str, ...]) -> bool:
    """Make or refresh `.venv`; quick when nothing changed. False when it could not, having said why."""
    folder, files = root / ".venv", lock_files(root, groups)
    stamp, wanted = folder / STAMP, stamp_of(files)
    done = stamp.read_text().split() if stamp.is_file() else []
    if wanted in done and python(root).exists():
        return True
    if not python(root).exists() or was_moved(root):
        print("dev: making .venv", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=False, symlinks=os.name != "nt", clear=True)
    print(f"dev: installing {', '.join(str(file.relative_to(root)) for file in files)}", file=sys.stderr, flush=True)
    install = [*_pip(root), "install", "-qq", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    for file in files:
        install += ["-r", str(file)]
    if subprocess.call(install) != 0:
        print("dev: the requirements could not be installed; is there a network and `python3 -m pip`? then run it again", file=sys.stderr)
        return False
    _link(root)
    stamp.write_text("\n".join([*(each for each in done if each), wanted]) + "\n")
    return True


def ensure_built(root: Path, group: str = SOURCE) -> None:
    """Install what comes as source only, built by the locked setuptools of the environment; where it cannot be, its tests are not collected."""
    stamp, files = root / ".venv" / f"triaged-{group}.sha256", lock_files(root, [group])
    wanted = stamp_of(files)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    install = [*_pip(root), "install", "-qq", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--require-hashes"]
    done = subprocess.run([*install, "-r", str(files[0])], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        stamp.write_text(wanted)
    else:
        print(f"dev: requirements/{group}.txt could not be built here: {done.stderr.strip()[-300:]}", file=sys.stderr)


def ensure_optional(root: Path, group: str) -> None:
    """Install a group that tests can do without: where there is no wheel of it, those tests are not collected."""
    stamp, files = root / ".venv" / f"triaged-{group}.sha256", lock_files(root, [group])
    wanted = stamp_of(files)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    install = [*_pip(root), "install", "-qq", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    done = subprocess.run([*install, "-r", str(files[0])], capture_output=True, check=False)
    if done.returncode == 0:
        stamp.write_text(wanted)
    else:
        print(f"dev: requirements/{group}.txt could not be installed here", file=sys.stderr)


def was_moved(root: Path) -> bool:
    """Whether the environment was made at another place: its commands would start an interpreter that is not there."""
    command = python(root).parent / "triaged"
    return command.is_file() and not command.read_text().startswith(f"#!{root / '.venv'}{os.sep}")


def _pip(root: Path) -> list[str]:
    """The pip of this machine, working on our environment: needs pip 22.3 or newer, no ensurepip."""
    return [sys.executable, "-m", "pip", "--python", str(python(root))]


def _link(root: Path) -> None:
    """Make the checkout importable and give it its command, without building anything."""
    site = subprocess.check_output([str(python(root)), "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    (Path(site) / "triaged-checkout.pth").write_text(f"{root}\n")
    command = python(root).parent / "triaged"
    command.write_text(f"#!{python(root)}\nimport sys\n\nfrom triaged.main import main\n\nsys.exit(main())\n")
    command.chmod(0o755)
