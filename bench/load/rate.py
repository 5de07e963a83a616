"""Items a second of many clients at once."""

import asyncio
import time
from collections.abc import Awaitable

import uvloop


def rate(clients: list[Awaitable[None]], items: int) -> float:
    """Items a second of all clients together."""

    async def all_of_them() -> float:
        began = time.perf_counter()
        await asyncio.gather(*clients)
        return time.perf_counter() - began

    return items / uvloop.run(all_of_them())
