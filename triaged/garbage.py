"""How often Python looks for garbage in cycles: seldom, for nearly nothing we make is one.

Values are frozen and hold no cycles, so reference counts free them. Looking after every 700 new containers, which is Python's own
setting, took an eighth of the time of a new alert.
"""

import gc

NEW_CONTAINERS = 20_000  # that are alive more than before, some megabytes, until the youngest are looked at
GENERATIONS = (10, 10)  # as Python has them


def look_seldom() -> None:
    """Leave what was made so far, modules and settings, out of every later look, and look seldom. Call it once, when all is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_CONTAINERS, *GENERATIONS)
