"""What one proof alone needs, installed from its lock file when the proof is first run."""

import importlib.util
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[1] / "requirements"


def install(module: str, group: str) -> bool:
    """Install `requirements/<group>.txt` where the module is not there; False where it cannot be."""
    if importlib.util.find_spec(module) is not None:
        return True
    pip = [_base_python(), "-m", "pip", "--python", sys.executable, "install", "-qq", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.call([*pip, "--only-binary", ":all:", "--require-hashes", "-r", str(REQUIREMENTS / f"{group}.txt")])
    importlib.invalidate_caches()
    return done == 0


def _base_python() -> str:
    """The interpreter that the environment was made with: it has pip, ours need not."""
    return getattr(sys, "_base_executable", None) or sys.executable
