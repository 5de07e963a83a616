"""Lock files: every distribution pinned, with the hashes of its files for the platforms we name."""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "macosx_14_0_arm64")
SERVER_PLATFORMS = (*PLATFORMS, "manylinux_2_34_x86_64", "manylinux_2_34_aarch64", "macosx_26_0_arm64")
HEAD = "# Made by `python3 dev lock` from pyproject.toml. Do not edit.\n"


def wanted(root: Path) -> dict[str, list[str]]:
    """The direct requirements of each group, as pyproject.toml names them."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    return {"run": project["project"]["dependencies"], **{name: groups[name] for name in ("dev", "source", "servers", "deploy")}}


def pinned(text: str) -> dict[str, str]:
    """Name and version of each line of a lock file."""
    lines = [line.split()[0] for line in text.splitlines() if line and not line.startswith(("#", " "))]
    return {name.lower().replace("_", "-"): version for name, _, version in (line.partition("==") for line in lines)}


def out_of_step(requirements: list[str], lock: str) -> list[str]:
    """Requirements that the lock file does not hold at that version."""
    have = pinned(lock)
    parts = (each.partition("==") for each in requirements)
    return [f"{name}=={version}" for name, _, version in parts if have.get(name.lower().replace("_", "-")) != version]


def run(root: Path, rest: list[str]) -> int:
    """Resolve on this Python, then gather the hashes of the same versions for every Python and platform we name."""
    if rest:
        print("dev lock takes no arguments", file=sys.stderr)
        return 2
    groups = wanted(root)
    run_pins = _resolve(groups["run"])
    dev_pins = sorted(set(_resolve([*groups["run"], *groups["dev"]])) - set(run_pins))
    deploy_pins = sorted(set(_resolve([*run_pins, *dev_pins, *groups["deploy"]])) - set(run_pins) - set(dev_pins))
    hashes = _hashes([*run_pins, *dev_pins, *deploy_pins]) | _hashes(groups["servers"], SERVER_PLATFORMS) | _sources(groups["source"])
    for group, pins in (
        ("run", run_pins),
        ("dev", dev_pins),
        ("source", groups["source"]),
        ("servers", groups["servers"]),
        ("deploy", deploy_pins),
    ):
        lines = [f"{pin} \\\n    " + " \\\n    ".join(f"--hash=sha256:{each}" for each in sorted(hashes[pin])) for pin in pins]
        (root / "requirements" / f"{group}.txt").write_text(HEAD + "\n".join(lines) + "\n")
        print(f"dev: {len(lines)} distributions in requirements/{group}.txt")
    return 0


def _report(arguments: list[str]) -> list[dict[str, object]]:
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--dry-run",
            "--ignore-installed",
            "--report",
            report.name,
            *arguments,
        ]
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            return []
        return list(json.loads(Path(report.name).read_text())["install"])


def _pin(item: dict[str, object]) -> str:
    return f"{item['metadata']['name']}=={item['metadata']['version']}".lower().replace("_", "-")  # type: ignore[index]  # pip's report


def _targets(platforms: tuple[str, ...] = PLATFORMS) -> list[list[str]]:
    """Pip's options for every Python and platform we name, the one that runs us first."""
    targets: list[list[str]] = [[]]
    for version in PYTHONS:
        for platform in platforms:
            names = {
                platform,
                platform.replace("2_28", "2_17"),
                platform.replace("manylinux_2_28", "manylinux2014"),
                platform.replace("14_0", "11_0"),
            }
            options = [word for name in sorted(names) for word in ("--platform", name)]
            targets.append(["--target", "unused", "--python-version", version, *options])
    return targets


def _resolve(requirements: list[str]) -> list[str]:
    """All that is needed anywhere, each at the one version that serves everywhere; ends the program where there is none."""
    pins: set[str] = set()
    for target in _targets():
        found = _report(["--only-binary", ":all:", *target, *requirements, *sorted(pins)])
        if not found:
            raise SystemExit(f"dev lock: pip finds no wheels for {' '.join(target[2:4]) or 'this Python'} {' '.join(target[4:])}")
        pins |= {_pin(item) for item in found}
    return sorted(pins)


def _sources(pins: list[str]) -> dict[str, set[str]]:
    """The hashes of what has no wheels: of the one archive of source each."""
    items = _report(["--no-deps", "--no-binary", ":all:", *pins]) if pins else []
    return {_pin(item): {str(item["download_info"]["archive_info"]["hashes"]["sha256"])} for item in items}  # type: ignore[index]  # pip's report


def _hashes(pins: list[str], platforms: tuple[str, ...] = PLATFORMS) -> dict[str, set[str]]:
    """The hashes of pinned distributions: pip is asked once a Python and platform, and again singly for what one lacks."""
    found: dict[str, set[str]] = {pin: set() for pin in pins}
    for target in _targets(platforms):
        options = ["--no-deps", "--only-binary", ":all:", *target]
        items = _report([*options, *pins]) or [item for pin in pins for item in _report([*options, pin])]
        for item in items:
            found[_pin(item)].add(str(item["download_info"]["archive_info"]["hashes"]["sha256"]))  # type: ignore[index]  # pip's report
    return found
