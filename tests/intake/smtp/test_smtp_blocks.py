"""The reader of blocks gives a line reader's answers, whatever comes and however it is cut (A01)."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import intake.smtp.door
import intake.smtp.session
from intake.smtp.body import Body
from intake.smtp.session import Session
from tests.intake.smtp.wire import DATA, ENVELOPE, GREETING, body_by_lines, cut, heard

SECOND = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<help@localhost>\r\nDATA\r\nSubject: evil\r\n\r\nevil"
ENDS_OF_DATA = {  # what some server somewhere took for the end of a mail (VU#302671)
    "LF.LF": b"\n.\n", "LF.CRLF": b"\n.\r\n", "CRLF.LF": b"\r\n.\n", "CR.CR": b"\r.\r", "CR.CRLF": b"\r.\r\n", "CRLF.CR": b"\r\n.\r",
    "LF.CR": b"\n.\r", "CR.LF": b"\r.\n", "NUL LF.LF NUL": b"\x00\n.\n\x00",
}  # fmt: skip
OTHERS = {
    "bare LF in the header": b"Subject: x\nBcc: y", "bare CR in a line": b"a\rb", "CR CR LF": b"a\r\r\n.\r\r\nb", "NUL": b"a\x00b",
    "doubled dots": b"\r\n..\r\n...\r\n.x\r\n..", "a dot and blanks": b"\r\n. \r\n .\r\n.\t", "nothing": b"", "CRLF.CRCRLF": b"\r\n.\r\r\n",
}  # fmt: skip
NAMED = ENDS_OF_DATA | OTHERS


def dialogue(inside):
    """One mail with `inside` in the middle and what a smuggler would hide behind it, its true end, and commands that follow at once."""
    mail = b"Subject: one\r\n\r\nbody" + inside + SECOND
    return GREETING + ENVELOPE + DATA + mail + b"\r\n.\r\n" + b"NOOP\r\n" + ENVELOPE + DATA + b"Subject: two\r\n\r\ntwo\r\n.\r\nQUIT\r\n"


def by_lines(pieces, **settings):
    """The same session with the line reader."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "_read_body", body_by_lines)
        return heard(pieces, **settings)


@pytest.mark.parametrize("name", NAMED)
def test_each_variant_cut_at_each_byte_is_answered_as_by_lines(name):
    stream = dialogue(NAMED[name])
    expected = by_lines([stream])
    assert by_lines(cut(stream, *range(len(stream)))) == expected
    for place in range(len(stream)):
        assert heard(cut(stream, place)) == expected, f"cut at {place}"


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("mended", [(), ("192.0.2.0/24",)])
def test_each_variant_octet_by_octet_is_answered_as_by_lines(name, mended):
    stream = dialogue(NAMED[name])
    pieces = cut(stream, *range(len(stream)))
    assert heard(pieces, normalise_newlines_from=mended) == by_lines([stream], normalise_newlines_from=mended)


@pytest.mark.parametrize("name", ENDS_OF_DATA)
def test_no_variant_of_an_end_of_data_makes_a_second_mail(name):
    replies, stored = heard([dialogue(ENDS_OF_DATA[name])])
    assert b"550 5.6.11" in replies
    assert [body.rpartition(b"\r\n\r\n")[2] for _, _, body in stored] == [b"two\r\n"]


def test_a_reader_that_takes_bare_newlines_for_ends_would_be_smuggled_through(monkeypatch):
    class Lenient(Body):
        """What the others did: any end of line around the dot."""

        def feed(self, block):
            found = re.search(rb"(?:\r\n|\r|\n)\.(?:\r\n|\r|\n)", self._tail + block)
            if found:
                block = block[: found.start() - len(self._tail)] + b"\r\n.\r\n" + block[found.end() - len(self._tail) :]
            return super().feed(block)

    monkeypatch.setattr(intake.smtp.session, "Body", Lenient)
    monkeypatch.setattr(intake.smtp.door, "has_bare_newline", lambda _body: False)
    for name, end in ENDS_OF_DATA.items():
        _, stored = heard([dialogue(end)])
        senders = [sender for sender, _, _ in stored]
        hidden = ["evil@x.example"] if not name.startswith("NUL") else []  # there the NUL spoils the second mail's first command
        assert senders == ["a@x.example", *hidden, "a@x.example"], f"{name} does no harm"


FRAGMENTS = st.sampled_from(
    [b"\r\n", b".", b"\r", b"\n", b"\r\n.", b"\r\n..", b".\r\n", b"\r\n.\r\n", b"\n.\r\n", b"\r\n.\n", b"a", b"\x00", b"NOOP\r\n", b"\xff",
     b"x" * 900, b"y" * 70_000, ENVELOPE, DATA]
)  # fmt: skip


@st.composite
def cuts(draw, stream):
    """Up to a dozen places anywhere, with some of them near each other."""
    places = draw(st.lists(st.integers(0, len(stream)), max_size=12))
    return sorted({min(each + step, len(stream)) for each in places for step in (0, draw(st.integers(0, 3)))})


@given(st.data(), st.lists(FRAGMENTS, max_size=14), st.sampled_from([1024, 1_000_000]))
def test_any_stream_in_any_pieces_is_answered_as_by_lines(data, fragments, limit_bytes):
    stream = GREETING + ENVELOPE + DATA + b"".join(fragments) + b"\r\n.\r\nRSET\r\nNOOP\r\n\r\n.\r\nQUIT\r\n"
    expected = by_lines([stream], message_limit_bytes=limit_bytes, error_limit=1000)
    assert heard(cut(stream, *data.draw(cuts(stream))), message_limit_bytes=limit_bytes, error_limit=1000) == expected


def reference(stream, limit_bytes):
    """The mail and what follows it, by lines; None where there is no end."""
    lines, rest = [], stream
    while True:
        line, found, rest = rest.partition(b"\r\n")
        if not found:
            return None
        if line == b".":
            content = b"".join(each + b"\r\n" for each in lines)
            return (content if len(content) <= limit_bytes else None), rest
        lines.append(line)


@given(st.data(), st.lists(FRAGMENTS, max_size=30).map(b"".join), st.integers(0, 2000))
@example(None, b".\r\n", 0)
@example(None, b"\r\n.\r\n.\r\n", 2)
@example(None, b"..\r\n.\r\n", 3)
def test_the_body_is_what_the_lines_before_the_lone_dot_are(data, stream, limit_bytes):
    pieces = cut(stream, *data.draw(cuts(stream))) if data else cut(stream, *range(len(stream)))
    body, found = Body(limit_bytes), None
    for index, piece in enumerate(pieces):
        rest = body.feed(piece)
        if rest is not None:
            found = body.content(), rest + b"".join(pieces[index + 1 :])
            break
    assert found == reference(stream, limit_bytes)


def test_of_a_mail_that_is_too_large_nothing_is_kept():
    body = Body(1000)
    for _ in range(500):
        assert body.feed(b"z" * 1000) is None
    assert sum(map(len, body._blocks)) == 0
    assert body.feed(b"\r\n.\r\nNOOP\r\n") == b"NOOP\r\n"
    assert body.content() is None


ADDRESSES = st.sampled_from(
    ["a@x.example", "A.b+c@X.Example", "help@localhost", "postmaster", "", "a..b@x", ".a@x", "a.@x", '"a b"@x', "a@b@c", "a@-x", "a@x-", "a@x.",
     "é@x", "a" * 64 + "@x", "a" * 65 + "@x", "@relay:a@x", "a@[192.0.2.1]", "a@x" * 200, "a b@x", "a@" + "x" * 256, "a\x00@x", "(c)a@x"]
)  # fmt: skip
PARAMETERS = st.sampled_from(
    [
        "",
        " SIZE=100",
        " SIZE=99999999",
        " BODY=8BITMIME",
        " SIZE=1 BODY=8BITMIME",
        " body=8bitmime",
        " SIZE=",
        " BODY=X",
        " SMTPUTF8",
        " X=1",
        "x",
        " ",
    ]
)
COMMANDS = st.one_of(
    st.builds("{}<{}>{}{}".format, st.sampled_from(["MAIL FROM:", "mail from:", "MAIL FROM: ", "RCPT TO:", "rcpt to:", "RCPT  TO:"]), ADDRESSES, PARAMETERS,
              st.sampled_from(["\r\n", "\n", " \r\n", "\r\r\n"])),
    st.sampled_from(["RSET\r\n", "NOOP\r\n", "DATA\r\nx\r\n.\r\n", "HELO c\r\n", "EHLO c\r\n", "\r\n", "MAIL\r\n", "RCPT TO:\r\n", "VRFY a\r\n"]),
)  # fmt: skip


@given(st.lists(COMMANDS, max_size=12), st.sampled_from([b"", b"HELO c\r\n", b"EHLO c\r\n"]))
def test_the_short_way_of_a_command_gives_the_long_ways_answers(commands, greeting):
    async def never(_session, _line):
        return False

    stream = greeting + "".join(commands).encode() + b"QUIT\r\n"
    short = heard([stream], error_limit=1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "_short_way", never)
        assert heard([stream], error_limit=1000) == short
