"""`python3 dev bench [--only WORD] [--json]`: each row a figure, what it is measured against in this run, and the ratio."""

import argparse
import json
import os
import platform
import sys

import msgspec

from bench.run import ROUNDS, run
from bench.subjects import ASKED_FOR, SUBJECTS
from bench.table import lines, verdict


def main() -> int:
    """Print the table, or its rows as JSON; progress goes to stderr."""
    parser = argparse.ArgumentParser(prog="dev bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORD", help=f"one subject: {', '.join([*SUBJECTS, *ASKED_FOR])}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"measurements of each figure (default {ROUNDS})")
    parser.add_argument("--json", action="store_true", help="the rows as JSON")
    asked = parser.parse_args()
    chosen = SUBJECTS if asked.only == "" else {name: rows for name, rows in (SUBJECTS | ASKED_FOR).items() if name == asked.only}
    if not chosen or asked.rounds < 1:
        parser.error(
            f"there is no subject {asked.only!r}; there are: {', '.join(SUBJECTS)}" if not chosen else "--rounds must be 1 or more"
        )
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, {asked.rounds} rounds", file=sys.stderr)
    results = run(
        (row for rows in chosen.values() for row in rows), rounds=asked.rounds, tell=lambda text: print(text, file=sys.stderr, flush=True)
    )
    if asked.json:
        print(json.dumps([msgspec.to_builtins(each) for each in results], indent=1))
    else:
        print("\n".join([*lines(results), "", *verdict(results)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
