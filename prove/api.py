"""`dev prove api`: requests made of the OpenAPI document, right and wrong ones, by every role against a served API; no 5xx, every answer as described."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from prove.installed import install
from prove.record import write_record
from prove.served import Served

SHOWN = 20


def main() -> int:
    """Run the proof; exit 0 only where nothing was found."""
    parser = argparse.ArgumentParser(prog="dev prove api", description=__doc__)
    parser.add_argument("--examples", type=int, default=300, help="requests of each operation, of each kind (right, wrong), by each role")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="keep the result in docs/proof")
    asked = parser.parse_args()
    if not install("schemathesis", "api"):
        print("dev prove api cannot be run here: requirements/api.txt could not be installed")
        return 1
    from prove.asking import examine  # noqa: PLC0415 -- schemathesis is there only now

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="triaged-api-") as folder, Served(Path(folder)) as served:
        done = examine(served, examples=asked.examples, seed=asked.seed)
        alive = served.daemon.alive()
    for each in done.findings[:SHOWN]:
        print(each, end="\n\n")
    held = alive and not done.findings
    figure = f"{done.line()}, seed {asked.seed}, {(time.monotonic() - began) / 60:.1f} minutes"
    if asked.record:
        write_record("api", figure, held=held)
    print(figure)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
