"""A notifier at work: one batch, or until something holds."""

import asyncio
from collections.abc import Sequence

from prometheus_client import REGISTRY

from notifier.child import render_one
from notifier.render import Identity

KEYS = ((1, b"a secret of thirty-two characters"),)
IDENTITY = Identity(name="Service Desk", address="desk@corp.example", domain="corp.example")


async def in_process(function: str, items: Sequence[bytes]) -> list[bytes | None]:
    assert function == "render"
    return [render_one(each) for each in items]


def once(worker):
    """One batch, connections closed after it."""

    async def work():
        try:
            return await worker.once()
        finally:
            for each in worker._submitters:
                each.close()

    return asyncio.run(work())


def run_until(worker, condition):
    """Run until the condition holds, then drain."""

    async def work():
        task = asyncio.create_task(worker.run())
        async with asyncio.timeout(20):
            while not condition() and not task.done():  # noqa: ASYNC110 -- the relay is a thread, which sets no event of the loop
                await asyncio.sleep(0.005)
        worker.stop()
        await task

    asyncio.run(work())


def replace_connection(worker, connection):
    worker._submitters, worker._free = (connection,), asyncio.LifoQueue()
    worker._free.put_nowait(connection)


def metric(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0
