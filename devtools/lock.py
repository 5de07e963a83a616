"""Lock files: every distribution pinned, with the hashes of its files for the platforms we name."""

import json
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "macosx_14_0_arm64")
SERVER_PLATFORMS = (*PLATFORMS, "manylinux_2_34_x86_64", "manylinux_2_34_aarch64", "macosx_26_0_arm64")
ON_TOP = ("api", "deploy")  # groups that are installed beside run and dev, where they are asked for
AT_ONCE = 4  # pip waits for the index most of the time
SAID_LINES = 5
HEAD = "# Made by `python3 dev lock` from pyproject.toml. Do not edit.\n"


def wanted(root: Path) -> dict[str, list[str]]:
    """The direct requirements of each group, as pyproject.toml names them."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    return {"run": project["project"]["dependencies"], **{name: groups[name] for name in ("dev", "source", "servers", *ON_TOP)}}


def extras(root: Path) -> list[str]:
    """What the optional parts of triaged require."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    return [each for requirements in project["project"]["optional-dependencies"].values() for each in requirements]


def pinned(text: str) -> dict[str, str]:
    """Name and version of each line of a lock file."""
    lines = [line.split()[0] for line in text.splitlines() if line and not line.startswith(("#", " "))]
    return {name.lower().replace("_", "-"): version for name, _, version in (line.partition("==") for line in lines)}


def out_of_step(requirements: list[str], lock: str) -> list[str]:
    """Requirements that the lock file does not hold at that version."""
    have = pinned(lock)
    parts = (each.partition("==") for each in requirements)
    return [f"{name}=={version}" for name, _, version in parts if have.get(name.lower().replace("_", "-")) != version]


def at_two_versions(pins: list[str]) -> list[str]:
    """Names that stand at more than one version in these pins."""
    counted = Counter(pin.partition("==")[0] for pin in set(pins))
    return sorted(name for name, versions in counted.items() if versions > 1)


def kept(root: Path) -> list[str]:
    """What the lock files hold beside the direct requirements: it stays at its version."""
    groups = wanted(root)
    files = (root / "requirements" / f"{group}.txt" for group in groups)
    held = {name: version for file in files if file.is_file() for name, version in pinned(file.read_text()).items()}
    direct = {each.partition("==")[0].lower().replace("_", "-") for requirements in groups.values() for each in requirements}
    return [f"{name}=={version}" for name, version in sorted(held.items()) if name not in direct]


def run(root: Path, rest: list[str]) -> int:
    """Resolve on this Python, then gather the hashes of the same versions for every Python and platform we name.

    What is locked stays at its version; `--upgrade` takes the newest of everything that pyproject.toml does not pin.
    """
    if rest not in ([], ["--upgrade"]):
        print("dev lock takes no argument but --upgrade", file=sys.stderr)
        return 2
    groups, wheels = wanted(root), Wheels()
    pins = _pins(groups, wheels, [] if rest else kept(root))
    everywhere = sorted({each for group in ("run", "dev", *ON_TOP) for each in pins[group]})
    hashes = wheels.hashes(everywhere) | wheels.hashes(pins["servers"], SERVER_PLATFORMS) | _sources(pins["source"])
    missing = [pin for pin, found in hashes.items() if not found]
    if missing:
        raise SystemExit(f"dev lock: pip finds no file of {', '.join(missing)}; nothing is written")
    for group, each in pins.items():
        lines = [f"{pin} \\\n    " + " \\\n    ".join(f"--hash=sha256:{digest}" for digest in sorted(hashes[pin])) for pin in each]
        (root / "requirements" / f"{group}.txt").write_text(HEAD + "\n".join(lines) + "\n")
        print(f"dev: {len(lines)} distributions in requirements/{group}.txt")
    return 0


class Wheels:
    """What pip would install, for every Python and platform we name; what it said of a wheel once it is not asked again."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._hashes: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)  # by target, then by pin

    def resolve(self, requirements: list[str], constraints: list[str]) -> list[str]:
        """All that is needed anywhere, each at the one version that serves everywhere; ends the program where there is none."""
        ours, *others = _targets()
        chosen = self._needed([ours], requirements, constraints)  # what this Python chooses, the others must take
        pins = chosen | self._needed(others, requirements, [*constraints, *sorted(chosen)])
        twice = at_two_versions(list(pins))
        if twice:
            raise SystemExit(f"dev lock: no one version of {', '.join(twice)} serves every Python and platform")
        return sorted(pins)

    def hashes(self, pins: list[str], platforms: tuple[str, ...] = PLATFORMS) -> dict[str, set[str]]:
        """The hashes of pinned distributions: pip is asked together for what it did not tell, and again singly for what one target lacks."""

        def ask(target: list[str]) -> None:
            unknown = [pin for pin in pins if pin not in self._hashes[tuple(target)]]
            if unknown and not self._ask(["--no-deps", *unknown], target)[0] and len(unknown) > 1:
                for pin in unknown:
                    self._ask(["--no-deps", pin], target)

        targets = _targets(platforms)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(ask, targets))
        return {pin: {known[pin] for target in targets if pin in (known := self._hashes[tuple(target)])} for pin in pins}

    def _needed(self, targets: list[list[str]], requirements: list[str], constraints: list[str]) -> set[str]:
        pins: set[str] = set()
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file, ThreadPoolExecutor(AT_ONCE) as pool:
            file.write("\n".join(dict.fromkeys(constraints)))
            file.flush()
            asked = ["--constraint", file.name, *requirements]
            for target, (found, said) in zip(targets, pool.map(lambda each: self._ask(asked, each), targets), strict=True):
                if not found:
                    where = " ".join(target[2:]) or "this Python"
                    raise SystemExit(f"dev lock: no wheels for {where}: nothing is written. --upgrade lets go of what is locked.\n{said}")
                pins |= found
        return pins

    def _ask(self, asked: list[str], target: list[str]) -> tuple[set[str], str]:
        items, said = _report(["--only-binary", ":all:", *target, *asked])
        found = {_pin(item): _hash(item) for item in items}
        self._hashes[tuple(target)] |= found
        return set(found), said


def _pins(groups: dict[str, list[str]], wheels: Wheels, locked: list[str]) -> dict[str, list[str]]:
    """What each lock file holds: a group on top of others leaves out what these install, and agrees with them."""
    pins = {"run": wheels.resolve(groups["run"], locked), "source": groups["source"], "servers": groups["servers"]}
    below = pins["run"]
    for group in ("dev", *ON_TOP):
        found = set(wheels.resolve(groups[group], [*locked, *below]))
        pins[group] = sorted(found - set(below))
        below = [*below, *pins[group]] if group == "dev" else below
    twice = at_two_versions([each for found in pins.values() for each in found])
    if twice:
        raise SystemExit(f"dev lock: {', '.join(twice)} would stand at two versions in requirements/; nothing is written")
    return pins


def _report(arguments: list[str]) -> tuple[list[dict[str, object]], str]:
    """What pip would install, or nothing and the last that it said."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        options = ["--quiet", "--dry-run", "--ignore-installed", "--disable-pip-version-check", "--report", report.name]
        done = subprocess.run([sys.executable, "-m", "pip", "install", *options, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return [], "\n".join(done.stderr.strip().splitlines()[-SAID_LINES:])
        return list(json.loads(Path(report.name).read_text())["install"]), ""


def _pin(item: dict[str, object]) -> str:
    return f"{item['metadata']['name']}=={item['metadata']['version']}".lower().replace("_", "-")  # type: ignore[index]  # pip's report


def _hash(item: dict[str, object]) -> str:
    return str(item["download_info"]["archive_info"]["hashes"]["sha256"])  # type: ignore[index]  # pip's report


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


def _sources(pins: list[str]) -> dict[str, set[str]]:
    """The hashes of what has no wheels: of the one archive of source each. What builds it may be a wheel."""
    found: dict[str, set[str]] = {}
    for pin in pins:
        items, said = _report(["--no-deps", "--no-binary", pin.partition("==")[0], pin])
        if not items:
            raise SystemExit(f"dev lock: pip finds no source of {pin}; nothing is written\n{said}")
        found[pin] = {_hash(item) for item in items}
    return found
