"""The work of a mail grows with its size and no faster: steps of the interpreter are counted, and no clock is read.

A step is a line of Python or a call. What C does within one call is held by the patterns of the splitter (test_mail_reply_languages)
and by the bombs; these are the mails that people write.
"""

import base64
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from intake.mail.body import MAX_TEXT_CHARACTERS
from intake.mail.parse import parse_mail
from tests.intake.mail.mails import MIXED, TOP

PIECES = 25  # of the smallest of the four sizes: eight times as many recipients are as many as are read
SENTENCE = "The printer on the fourth floor jams again, and nobody knows why it does so.\n"
PARAGRAPH = SENTENCE * 3 + "\n"
FORMS: dict[str, Callable[[int], bytes]] = {
    "plain text": lambda n: TOP + b"\n" + PARAGRAPH.encode() * n,
    "an answer above what it quotes": lambda n: TOP + b"\nThank you.\n\nOn 1.1.2026 10:00 Ana <ana@example.com> wrote:\n" + b"> a line of it\n" * n * 3,
    "answers between quotes": lambda n: TOP + b"\n" + b"> a question\nan answer\n\n" * n,
    "a thread of answers": lambda n: TOP + b"\n" + b"Yes.\n\n-----Original Message-----\nFrom: Ana <ana@example.com>\nSent: Monday\nSubject: x\n\n" * n,
    "quoted-printable": lambda n: TOP + b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" + b"Gr=C3=BC=C3=9Fe von hier, und =\nweiter.\n" * n,
    "format=flowed": lambda n: TOP + b"Content-Type: text/plain; format=flowed\n\n" + b"a line that flows \ninto the next one\n" * n,
    "HTML": lambda n: TOP + b"Content-Type: text/html\n\n<html><body>" + b"<p>The <b>printer</b> jams <a href='http://x.example/'>again</a>.</p>\n" * n + b"</body></html>",
    "a table in HTML": lambda n: TOP + b"Content-Type: text/html\n\n<table>" + b"<tr><td>node</td><td>down</td></tr>\n" * n + b"</table>",
    "one file": lambda n: MIXED + b"--b\n\nsee the file\n--b\nContent-Type: image/png; name=a.png\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(b"x" * 600 * n) + b"--b--\n",
    "many files": lambda n: MIXED + b"".join(b"--b\nContent-Type: image/png; name=%d.png\nContent-Transfer-Encoding: base64\n\n%s" % (at, base64.encodebytes(b"x" * 300)) for at in range(n)) + b"--b--\n",
    "many recipients": lambda n: b"To: " + b",\n ".join(b"P%d <p%d@example.com>" % (at, at) for at in range(n)) + b"\n" + TOP + b"\nhi\n",
    "a long thread of references": lambda n: b"References:" + b"".join(b"\n <m%d@example.com>" % at for at in range(n)) + b"\n" + TOP + b"\nhi\n",
    "a bounce in words": lambda n: b"Return-Path: <>\nFrom: mailer-daemon@example.com\nSubject: failure notice\n\nHi. This is the qmail-send program.\n\n" + b"".join(b"<u%d@example.net>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n" % at for at in range(n)),
    "a standard bounce": lambda n: b'Return-Path: <>\nFrom: mailer-daemon@example.com\nSubject: failure notice\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n--b\n\nfailed\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n' + b"".join(b"Final-Recipient: rfc822; u%d@example.net\nAction: failed\nStatus: 5.1.1\n\n" % at for at in range(n)) + b"--b--\n",
}  # fmt: skip


def steps_for(raw: bytes, parse: Callable[[bytes], object] = parse_mail) -> int:
    """How many lines of Python are run and how many functions are called, of Python and of C, to parse a mail."""
    steps = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal steps
        steps += event in ("call", "line")
        return trace

    def called(frame: FrameType, event: str, argument: object) -> None:
        nonlocal steps
        steps += event == "c_call"

    before = sys.gettrace()
    sys.setprofile(called)
    sys.settrace(trace)
    try:
        parse(raw)
    finally:
        sys.settrace(before)
        sys.setprofile(None)
    return steps


def grows_linearly(form: Callable[[int], bytes], parse: Callable[[bytes], object] = parse_mail) -> bool:
    """Whether twice as much more costs about twice as many steps more, at each doubling; with the square it would cost four times."""
    parse(form(8 * PIECES))  # what is loaded at first use is not counted
    one, two, four, eight = (steps_for(form(PIECES * times), parse) for times in (1, 2, 4, 8))
    return four - two <= 2.5 * (two - one) + 500 and eight - four <= 2.5 * (four - two) + 500


@pytest.mark.parametrize("name", FORMS)
def test_twice_the_mail_is_twice_the_work(name: str) -> None:
    assert len(FORMS[name](8 * PIECES)) < MAX_TEXT_CHARACTERS, "a mail that is cut would prove nothing"
    assert grows_linearly(FORMS[name])


def test_work_that_grows_with_the_square_would_be_seen() -> None:
    def look_from_every_line(raw: bytes) -> None:
        lines = raw.split(b"\n")
        for at in range(len(lines)):
            for each in lines[at:]:
                each.strip()

    assert not grows_linearly(FORMS["plain text"], look_from_every_line)
