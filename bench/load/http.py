"""Bodies by HTTP."""

import asyncio
from collections.abc import Callable


async def http_client(port: int, count: int, make_body: Callable[[int], bytes]) -> None:
    """Post `count` bodies on one kept connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for index in range(count):
        body = make_body(index)
        writer.write(b"POST /hooks/alertmanager HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(head.decode("latin-1"))
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()
