"""Load generators: plain asyncio clients that wait for every answer."""
