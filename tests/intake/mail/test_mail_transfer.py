"""Content-Transfer-Encoding: what can be decoded is decoded, and damage is said (A30)."""

import base64
import binascii
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.mail.transfer import base64_octets, decoded


@pytest.mark.parametrize(
    ("octets", "encoding", "result", "defect"),
    [
        (b"a\r\nb\n", "", b"a\nb\n", None),
        (b"a\r\nb", "7bit", b"a\nb", None),
        (b"a\r\nb", "8bit", b"a\nb", None),
        (b"a\r\nb", "binary", b"a\r\nb", None),
        (b"a\r\nb", "x-strange", b"a\nb", "unknown transfer encoding 'x-strange'"),
        (b"caf=E9=\r\n!\r\n", "quoted-printable", b"caf\xe9!\n", None),
        (b"=GG=", "quoted-printable", b"=GG", None),
        (b"aGVsbG8=", "base64", b"hello", None),
        (b"aGVs\r\nbG8=\r\n", "base64", b"hello", None),
        (b"aGVsbG8", "base64", b"hello", "base64 is incomplete"),
        (b"aGVsbG8x!aGVsbG8", "base64", b"hello1hello", "base64 is incomplete"),
        (b"aGVsb", "base64", b"hel", "base64 is incomplete"),
        (b"aGVsbG8=\n-- \nfooter of a list", "base64", b"hello", None),
        (b"!!!", "base64", b"", None),
        (b"begin 644 a\n+:&5L;&\\@=V]R;&0 \n`\nend\nmore", "x-uuencode", b"hello world", None),
        (b"noise\nbegin 644 a\n+:&5L;&\\@=V]R;&0 \n\xff\xff\nend\n", "uue", b"hello world", "uuencoded lines are damaged"),
        (b"begin 644 a\n+:&5L;&\\@=V]R;&0 XX\n", "x-uue", b"hello world", "uuencoded lines are damaged"),
        (b"no begin", "x-uuencode", b"no begin", "uuencoded text without a begin line"),
    ],
)  # fmt: skip
def test_decoding(octets: bytes, encoding: str, result: bytes, defect: str | None):
    assert decoded(octets, encoding) == (result, defect)


@given(st.binary(max_size=500))
def test_what_was_encoded_is_read_back(octets: bytes):
    assert decoded(base64.encodebytes(octets), "base64") == (octets, None)
    text = octets.replace(b"\r", b"")
    assert decoded(quopri.encodestring(text), "quoted-printable")[0] == text
    lines = b"".join(binascii.b2a_uu(octets[at : at + 45]) for at in range(0, len(octets), 45))
    assert decoded(b"begin 644 a\n" + lines + b"`\nend\n", "x-uuencode") == (octets, None)


@given(st.binary(max_size=300), st.sampled_from(["base64", "quoted-printable", "x-uuencode", "8bit", "binary", "?"]))
def test_any_octets_are_decoded_and_never_grow(octets: bytes, encoding: str):
    assert len(decoded(octets, encoding)[0]) <= len(octets)


@given(st.binary(max_size=60), st.integers(0, 80))
def test_base64_that_was_cut_gives_its_beginning(octets: bytes, length: int):
    got, _ = base64_octets(base64.b64encode(octets)[:length])
    assert octets.startswith(got)
    assert len(got) >= len(octets[: length * 3 // 4]) - 2
