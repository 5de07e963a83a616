"""Any bytes whatever give a mail: nothing raises, and everything in it can be stored and shown."""

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from intake.mail.parse import parse_mail
from intake.present import present
from itsm.signal import DeliveryReport, UserMessage

FIXTURES = [each.read_bytes() for each in sorted((Path(__file__).parents[2] / "fixtures" / "mail").glob("*.eml"))]
TOKENS = [
    b"\n", b"\r\n", b"\n\n", b"\n--", b"--", b"\0", b"\xff", b"\xe4", b"=?utf-8?q?", b"?=", b"<", b">", b"@", b";", b'"', b"(", b")", b",", b":", b"\\", b"*0*=", b"%ff",
    b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Message-ID: ", b"References: ", b"Return-Path: <>\n", b"Content-Type: multipart/mixed; boundary=b\n", b"\n--b\n", b"\n--b--\n",
    b"Content-Type: message/rfc822\n", b"Content-Type: message/delivery-status\n", b"Content-Type: text/html; charset=utf-16\n", b"Content-Transfer-Encoding: base64\n",
    b"Content-Transfer-Encoding: x-uuencode\n", b"Content-Disposition: attachment; filename=", b"Final-Recipient: rfc822;x@y\n", b"On 1.1.2026 a@b wrote:\n", b"> ", b"-- \n", b"<ul><li>",
]  # fmt: skip
MAILS = st.one_of(st.binary(max_size=500), st.lists(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8)), max_size=40).map(b"".join))
ENCODER = msgspec.msgpack.Encoder()


def check(raw: bytes) -> None:
    parsed = parse_mail(raw)
    assert isinstance(parsed, UserMessage | DeliveryReport)
    assert b"\0" not in msgspec.json.encode(present((parsed,))).replace(b"\\u0000", b"\0")
    again = msgspec.msgpack.decode(ENCODER.encode(parsed), type=UserMessage | DeliveryReport)
    assert again == parsed
    assert parse_mail(raw) == parsed


@given(MAILS)
def test_any_bytes_give_a_mail_that_can_be_stored(raw: bytes):
    check(raw)


@given(st.sampled_from(FIXTURES), st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), max_size=6), st.integers(0, 5_000))
def test_bytes_flipped_and_mails_cut_short(raw: bytes, flips: list[tuple[int, int]], length: int):
    octets = bytearray(raw)
    for at, value in flips:
        octets[at % len(octets)] = value
    check(bytes(octets[: length or None]))


@given(
    st.sampled_from(FIXTURES), st.sampled_from(FIXTURES), st.lists(st.tuples(st.integers(0, 5_000), st.sampled_from(TOKENS)), max_size=6)
)
def test_mails_spliced_with_each_other_and_with_tokens(one: bytes, two: bytes, inserts: list[tuple[int, bytes]]):
    octets = bytearray(one)
    for at, token in inserts:
        octets[at % len(octets) : at % len(octets)] = token
    check(bytes(octets) + two[len(two) // 2 :])


@given(st.lists(st.sampled_from([token for token in TOKENS if b"\r" not in token]), max_size=40).map(b"".join))
def test_line_ends_make_no_difference(raw: bytes):
    mail = b"From: a@b.example\nSubject: x\n" + raw
    told = present((parse_mail(mail),))
    assert present((parse_mail(mail.replace(b"\n", b"\r\n")),)) == told
    assert present((parse_mail(mail.replace(b"\n", b"\r")),)) == told
