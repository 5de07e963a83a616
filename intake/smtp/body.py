"""The octets after 354: found in blocks where a line reader would find them, in whatever pieces they come (RFC 5321 4.1.1.4, A01)."""

END = b"\r\n.\r\n"
_DOT = b".\r\n"


class Body:
    """Takes the stream piece by piece until CRLF.CRLF, and nothing else ends it; keeps at most the limit, and counts on."""

    def __init__(self, limit_bytes: int) -> None:
        """`limit_bytes` is of the mail as it is sent, doubled dots included."""
        self._limit_bytes = limit_bytes
        self._blocks: list[bytes] = []
        self._size_bytes = 0
        self._tail = b"\r\n"  # the DATA command's own line end: a lone dot at once ends an empty mail

    def feed(self, block: bytes) -> bytes | None:
        """None until the end has come; then what follows it, perhaps nothing: the client's next commands."""
        seen = self._tail + block
        at = seen.find(END)
        if at < 0:
            self._keep(block)
            self._tail = seen[1 - len(END) :]
            return None
        used = at + len(END) - len(self._tail)
        self._keep(block[:used])
        return block[used:]

    def _keep(self, block: bytes) -> None:
        self._size_bytes += len(block)
        if self.too_large:
            self._blocks.clear()
        else:
            self._blocks.append(block)

    @property
    def too_large(self) -> bool:
        """Whether more came than the limit."""
        return self._size_bytes > self._limit_bytes + len(_DOT)

    def content(self) -> bytes | None:
        """The mail without its final dot, still stuffed; None when it was too large. Only after the end."""
        return None if self.too_large else b"".join(self._blocks)[: -len(_DOT)]
