"""Memory of a long life: looks for garbage in cycles are seldom, and what the C library keeps free goes back to the system.

Values are frozen and hold no cycles, so reference counts free them. Looking after every 700 new containers, which is Python's own
setting, took an eighth of the time of a new alert.
"""

import asyncio
import ctypes
import gc

NEW_CONTAINERS = 20_000  # that are alive more than before, some megabytes, until the youngest are looked at
GENERATIONS = (10, 10)  # as Python has them
GIVE_BACK_EVERY_SECONDS = 60.0


def look_seldom() -> None:
    """Leave what was made so far, modules and settings, out of every later look, and look seldom. Call it once, when all is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_CONTAINERS, *GENERATIONS)


async def give_back() -> None:
    """Have glibc return its free pages (malloc_trim(3)), beside the loop; other C libraries do it by themselves, or never.

    Bodies, pages of SQLite and texts come and go in blocks of every size and in several threads, so free pages end up between blocks in
    use. glibc gives back only those at the end of its heaps: under a steady load they grew by half a megabyte a minute.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        await asyncio.to_thread(trim, 0)
