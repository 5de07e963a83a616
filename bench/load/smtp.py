"""Mails by SMTP."""

import asyncio


async def smtp_client(port: int, count: int, body: bytes, name: str) -> None:
    """Send `count` mails on one connection, each with a Message-ID of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def answer(code: bytes) -> None:
        while True:
            line = await reader.readline()
            if line[3:4] != b"-":
                break
        if not line.startswith(code):
            raise RuntimeError(f"expected {code!r}, got {line!r}")

    await answer(b"220")
    writer.write(b"EHLO bench\r\n")
    await answer(b"250")
    for index in range(count):
        for command, code in ((b"MAIL FROM:<a@x.example>\r\n", b"250"), (b"RCPT TO:<help@localhost>\r\n", b"250"), (b"DATA\r\n", b"354")):
            writer.write(command)
            await answer(code)
        head = f"From: {name}{index}@x.example\r\nTo: help@localhost\r\nSubject: it is broken\r\nMessage-ID: <{name}.{index}@x>\r\n\r\n"
        writer.write(head.encode() + body + b"\r\n.\r\n")
        await answer(b"250")
    writer.write(b"QUIT\r\n")
    await answer(b"221")
    writer.close()
