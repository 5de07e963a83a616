"""Content-Transfer-Encoding (RFC 2045 6): linear decoders that give what can be decoded and never raise (A30)."""

import binascii

BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(BASE64_ALPHABET))
UU_ENCODINGS = frozenset({"x-uuencode", "uuencode", "uue", "x-uue"})


def decoded(octets: bytes, encoding: str) -> tuple[bytes, str | None]:
    """The octets a body stands for, and a defect when some of it could not be decoded. Text comes with line feeds only."""
    match encoding:
        case "base64":
            return base64_octets(octets)
        case "quoted-printable":
            return _with_line_feeds(binascii.a2b_qp(octets)), None
        case "binary":
            return octets, None
        case "" | "7bit" | "8bit":
            return _with_line_feeds(octets), None
        case _ if encoding in UU_ENCODINGS:
            return _uu_octets(octets)
        case _:
            return _with_line_feeds(octets), f"unknown transfer encoding {encoding[:40]!r}"


def _with_line_feeds(octets: bytes) -> bytes:
    """So that one mail is the same mail whichever door it came through."""
    return octets.replace(b"\r\n", b"\n") if b"\r" in octets else octets


def base64_octets(octets: bytes) -> tuple[bytes, str | None]:
    """Base64 up to its first padding; with wrong padding or strange octets what is left of it."""
    try:
        return binascii.a2b_base64(octets), None
    except binascii.Error:
        kept = octets.partition(b"=")[0].translate(None, delete=_NOT_BASE64)
        kept = kept[:-1] if len(kept) % 4 == 1 else kept
        return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4)), "base64 is incomplete"


def _uu_octets(octets: bytes) -> tuple[bytes, str | None]:
    """The lines between `begin` and `end`; a line that is none is left out."""
    out = bytearray()
    begun = False
    defect = None
    for line in octets.split(b"\n"):
        text = line.rstrip(b"\r")
        if not begun:
            begun = text.startswith(b"begin ")
        elif text in (b"end", b"`", b""):
            if text == b"end":
                break
        else:
            try:
                out += binascii.a2b_uu(text)
            except binascii.Error:
                # Some encoders count one octet too many in the length (as CPython's own decoder allows for).
                size = (((text[0] - 32) & 63) * 4 + 5) // 3
                out += _uu_line(text[:size])
                defect = "uuencoded lines are damaged"
    return (bytes(out), defect) if begun else (_with_line_feeds(octets), "uuencoded text without a begin line")


def _uu_line(text: bytes) -> bytes:
    try:
        return binascii.a2b_uu(text)
    except binascii.Error:
        return b""
