"""The process of one target under atheris: instrumented imports, then libFuzzer's loop. `prove.fuzz` starts it."""

import sys

import atheris

MEASURED_EVERY = 32  # inputs: counting calls makes one several times slower

with atheris.instrument_imports(include=["intake", "itsm"]):
    from prove.targets import TARGETS, within_budget

TOO_DEAR = "over budget"


def main() -> None:
    """`prove.fuzzing TARGET [options of libFuzzer and folders]`."""
    run = TARGETS[sys.argv.pop(1)]
    seen = 0

    def one_input(data: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen % MEASURED_EVERY:
            run(data)
        else:
            within_budget(run, data)

    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
