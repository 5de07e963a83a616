"""A listener of the web server, from its start on."""

import asyncio
import socket

from triaged.web import WebServer, application


def test_who_comes_before_the_server_runs_waits_and_is_answered() -> None:
    server = WebServer(application([], listen="127.0.0.1:0"), "127.0.0.1:0")
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

        async def serve() -> bytes:
            running = asyncio.create_task(server.run())
            answer = await asyncio.to_thread(client.recv, 65_536)
            server.stop()
            await running
            return answer

        assert asyncio.run(serve()).startswith(b"HTTP/1.1 404 ")
