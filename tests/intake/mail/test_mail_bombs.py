"""Mails made to hang or to swell a parser (A22 to A33), held to budgets of calls and of memory.

Calls of functions are counted, not time; a hang is ended by the time limit of the test. Twice the bomb may cost at most
little more than twice the calls.
"""

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType

import pytest

from intake.mail.parse import parse_mail
from itsm.signal import DeliveryReport, UserMessage
from tests.intake.mail.mails import MIXED, TOP

CALLS_A_KILOBYTE = 8_000
CALLS_AT_LEAST = 60_000
BYTES_AT_LEAST = 16 * 1024 * 1024
BYTES_A_BYTE = 12
HTML = TOP + b"Content-Type: text/html\n\n"
PLAIN = TOP + b"Content-Type: text/plain\n\n"
BOUNCE = b"Return-Path: <>\nFrom: mailer-daemon@x.example\nSubject: failure notice\n"
DSN = BOUNCE + b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n--b\n\nfailed\n'


def nested(depth: int) -> bytes:
    return TOP + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (at, at) for at in range(depth)) + b"\nhi\n"


BOMBS: dict[str, Callable[[int], bytes]] = {  # each grows with its number in about the same way
    "A22 hops": lambda n: b"Received: from a by b; Tue\n" * n + TOP + b"\nhi",
    "A23 nested parts": nested,
    "A23 nested parts of one boundary": lambda n: TOP + b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n' * n + b"\nhi\n--b--\n",
    "A23 nested parts with many lines": lambda n: nested(60) + b"x\n" * n * 20,
    "A23 nested mails": lambda n: TOP + b"Content-Type: message/rfc822\n\n" * n + b"hi",
    "A24 many parts": lambda n: MIXED + b"--b\n\nx\n" * n + b"--b--\n",
    "A24 lines that nearly are boundaries": lambda n: MIXED + b"--b\n\n" + b"--bx\n" * n,
    "A25 many fields": lambda n: TOP + b"X-a: b\n" * n + b"\nhi",
    "A25 fields without names": lambda n: TOP + b":\n" * n + b"\nhi",
    "A25 one field of many lines": lambda n: TOP + b"X-a: b\n" + b" c\n" * n + b"\nhi",
    "A25 one long field": lambda n: TOP + b"X: " + b"a" * n * 20 + b"\n\nhi",
    "A25 lines that are no fields": lambda n: b"no field\nTo: x\n" * n + b"\nhi",
    "A26 encoded words": lambda n: b"Subject: " + b" ".join([b"=?utf-8?q?a?=", b"=?latin1?q?a?="] * n) + b"\n\nhi",
    "A26 encoded words of junk": lambda n: b"Subject: " + b" ".join([b"=?x-junk?b?/////w==?=", b"=?euc-jp?q?=FF=FE?="] * n) + b"\n\nhi",
    "A27 segments of a parameter": lambda n: TOP + b"Content-Type: text/plain; " + b"; ".join(b"name*%d*=utf-8''a" % at for at in range(n)) + b"\n\nhi",
    "A27 semicolons": lambda n: TOP + b"Content-Type: multipart/mixed" + b";" * n * 20 + b"\n\nhi",
    "A27 semicolons in a part": lambda n: MIXED + b"--b\nContent-Type: multipart/mixed" + b";a=b" * n * 5 + b"\n\nhi",
    "A28 parentheses": lambda n: b"From: " + b"(" * n * 3 + b"\n\nhi",
    "A28 quotes": lambda n: b"To: " + b'"' * n * 3 + b"\n\nhi",
    "A28 groups": lambda n: b"To: " + b"a:" * n * 3 + b"\n\nhi",
    "A28 colons": lambda n: b"To: a@b" + b":" * n * 3 + b"\n\nhi",
    "A28 angle brackets": lambda n: b"From: " + b"<" * n * 3 + b"\nTo: " + b"<a@b>" * n + b"\n\nhi",
    "A28 commas": lambda n: b"To: " + b"a@b.example," * n + b"\n\nhi",
    "A28 fields alike": lambda n: b"To: a@b.example\n" * n + b"\nhi",
    "A28 identifiers": lambda n: b"Message-ID: " + b"<" * n + b"\nReferences: " + b"<a@b> " * n + b"\nIn-Reply-To: " + b"a " * n + b"\n\nhi",
    "A29 charsets": lambda n: MIXED + b"".join(b"--b\nContent-Type: text/plain; charset=x-%d\n\n\xff\xfe\xfa\xe4h\n" % at for at in range(n)) + b"--b--\n",
    "A29 utf-7": lambda n: TOP + b"Content-Type: text/plain; charset=utf-7\n\n" + b"+" * n * 20,
    "A30 base64 of junk": lambda n: TOP + b"Content-Transfer-Encoding: base64\n\n" + b"!@#=" * n * 5,
    "A30 quoted-printable of junk": lambda n: TOP + b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=" * n * 20,
    "A30 uuencoded junk": lambda n: TOP + b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n" + b"M\xff\xff\n" * n,
    "A32 On On On": lambda n: PLAIN + b"On " * n * 5,
    "A32 attributions": lambda n: PLAIN + b"On 1.1.2020 10:00 a@b wrote:\n" * n,
    "A32 attributions after words": lambda n: PLAIN + b"hi\n\n" + b"x wrote:\n" * n + b"> q\n",
    "A32 blanks": lambda n: PLAIN + b" " * n * 20 + b"x\n",
    "A32 blank lines and signatures": lambda n: PLAIN + b"\n" * n + b"-- \n" * n,
    "A32 separators": lambda n: PLAIN + b"-----Original Message-----\n" * n,
    "A32 rules": lambda n: PLAIN + b"hi\n" + b"-----\n" * n,
    "A32 pasted headers": lambda n: PLAIN + b"hi\n" + b"From: a\nb\n" * n,
    "A32 quotes": lambda n: PLAIN + b"> a\nb\n" * n + b">" * n,
    "A32 flowed lines": lambda n: TOP + b"Content-Type: text/plain; format=flowed\n\n" + b"a \n" * n,
    "A32 subject": lambda n: b"Subject: " + b"Re: Re : out of of " * n + b"\n\nhi",
    "A31 a mail in a mail in a mail": lambda n: TOP + b"Content-Type: message/rfc822\n\n" + TOP + b"Content-Type: message/rfc822\n\n" + b"x\n" * n * 10,
    "A31 winmail.dat": lambda n: TOP + b"Content-Type: application/ms-tnef; name=winmail.dat\n\n" + b"\x78\x9f\x3e\x22\x01\x00" + b"\x02\x00\x00\x00\x00\xff\xff\xff\xff" * n * 2,
    "A32 begin lines of uuencoded files": lambda n: PLAIN + b"begin 644 a\n!\n" * n,
    "A32 uuencoded files": lambda n: PLAIN + b"begin 644 a\n!a\nend\n" * n,
    "A32 forwards": lambda n: PLAIN + b"---------- Forwarded messag ---------\n" * n,
    "A32 armour": lambda n: PLAIN + b"-----BEGIN PGP SIGNED MESSAGE-----\n\n" * n,
    "A33 quotes that HTML marks": lambda n: HTML + b"<blockquote type=cite>" * n,
    "A33 quotes that HTML marks and closes": lambda n: HTML + b"<blockquote type=cite>x</blockquote>y" * n,
    "A33 tags that are never closed": lambda n: HTML + b"<blockquote type=cite>" + b"<div " * n * 3,
    "A33 attributes that are marks": lambda n: HTML + b"<div class='" + b"gmail_attr " * n + b"'>x",
    "report of a complaint": lambda n: BOUNCE + b'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n--b\nContent-Type: message/feedback-report\n\n'
    + b"Original-Rcpt-To: <a@b.example>\n" * n + b"--b--\n",
    "A33 comments": lambda n: HTML + b"<!--" * n * 5,
    "A33 elements": lambda n: HTML + b"<div>" * n * 4,
    "A33 lists": lambda n: HTML + b"<ol><li>a" * n * 2,
    "A33 a wide table": lambda n: HTML + b"<table><tr><td>" + b"x" * n * 5 + b"</td></tr>" + b"<tr><td>a</td><td>b</td></tr>" * n + b"</table>",
    "A33 attributes": lambda n: HTML + b"<a " + b"a=b " * n * 5 + b">",
    "bounce of many lines": lambda n: BOUNCE + b"\n" + b"<a@b.example>: 550 x\n" * n,
    "bounce of one line": lambda n: BOUNCE + b"\n" + b"a" * n * 20,
    "bounce of many words": lambda n: BOUNCE + b"\n" + b"following addresses had\n" * 50 + b"a.b.c.d " * n * 4,
    "report of many recipients": lambda n: DSN + b"a@b.c x\n" * n + b"--b\nContent-Type: message/delivery-status\n\n"
    + b"".join(b"Final-Recipient: rfc822;u%d@x.example\nAction: failed\n\n" % at for at in range(n)) + b"--b--\n",
    "invitation of many lines": lambda n: TOP + b"Content-Type: text/calendar\n\nBEGIN:VEVENT\n" + b"SUMMARY:x\n y" * n,
    "no line at all": lambda n: b"a" * n * 20,
    "carriage returns": lambda n: (PLAIN + b"a\n" * n * 5).replace(b"\n", b"\r"),
    "NUL": lambda n: PLAIN + b"\0" * n * 20,
}  # fmt: skip
LARGE = 20_000


def calls_for(raw: bytes) -> int:
    """How many functions, of Python and of C, are called to parse a mail."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1

    sys.setprofile(count)
    try:
        parse_mail(raw)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_parsed_within_a_budget_of_calls_that_grows_with_its_size(name: str):
    parse_mail(BOUNCE + "Grüße".encode("latin-1") * 50 + b"\n\nfailed: <a@b.example>")  # what is loaded at first use is not counted
    small, large = BOMBS[name](LARGE // 2), BOMBS[name](LARGE)
    few, many = calls_for(small), calls_for(large)
    assert many <= CALLS_AT_LEAST + CALLS_A_KILOBYTE * len(large) // 1024
    assert many <= 2.5 * few + CALLS_AT_LEAST


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_parsed_within_a_budget_of_memory(name: str):
    raw = BOMBS[name](LARGE)
    tracemalloc.start()
    try:
        parsed = parse_mail(raw)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(parsed, UserMessage | DeliveryReport)
    assert peak <= BYTES_AT_LEAST + BYTES_A_BYTE * len(raw)


def test_what_is_left_out_is_said():
    said = {name: parse_mail(BOMBS[name](LARGE)) for name in BOMBS}
    defects = {name: (each.message if isinstance(each, DeliveryReport) else each).defects for name, each in said.items()}
    assert defects["A22 hops"] == ("a header was read up to 262144 bytes and 5000 lines only",)
    assert "more than 1000 parts: the rest is only in the raw mail" in defects["A24 many parts"]
    assert "too many boundary lines: the rest is in the last part" in defects["A24 lines that nearly are boundaries"]
    assert defects["A27 segments of a parameter"] == ("a header was read up to 262144 bytes and 5000 lines only",)
