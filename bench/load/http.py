"""Bodies by HTTP."""

import asyncio
from collections.abc import Sequence


def requests(path: str, bodies: Sequence[bytes]) -> list[bytes]:
    """The octets of each request, made before the clock starts."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    return [head.encode() + b"%d\r\n\r\n" % len(body) + body for body in bodies]


async def http_client(port: int, wanted: Sequence[bytes]) -> None:
    """Send requests on one kept connection, each after the answer to the one before; raises unless each is answered 2xx."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in wanted:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(head.decode("latin-1"))
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()
