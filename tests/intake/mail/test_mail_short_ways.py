"""What most mails are is read by a short way: it gives what the long way gives, whatever is written."""

from email.parser import BytesHeaderParser
from email.policy import compat32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from intake.mail import addresses, reply
from intake.mail.addresses import read_addresses
from intake.mail.header import Header, plain_fields
from intake.mail.reply import new_words

FIELDS = st.lists(
    st.sampled_from(
        [b"From: a@b\r\n", b"To:\n", b"X-Y:z: \t\n", b"Subject: one\n two\r\n\tthree \n", b" \n", b"\t\r\n", b"\n", b"\r\n", b"From a@b\n", b": no name\n", b"no field\n",
         b"A B: c\n", b"A\x0b: \x0c\x1c\n", b"A: b\rc\n", b"A: \x00\n", b"A: \xe9\n", b"A:\x7f\n", b"A: last", b"\r", b"a:", b" ", b"\x1d", b"\x85", b"*:*\n", b"Date : x\n"]
    ),
    max_size=8,
).map(b"".join)  # fmt: skip


@given(FIELDS)
def test_a_header_is_read_as_the_standard_library_reads_it(octets: bytes) -> None:
    short = plain_fields(octets)
    if short is None:
        return
    message = BytesHeaderParser(policy=compat32).parsebytes(octets)
    assert message.get_payload() == ""
    long = Header(message.raw_items())
    assert (Header(short)._values, Header(short).count) == (long._values, long.count)


@pytest.mark.parametrize("octets", [b"From: a@b\r\nTo: c@d\r\n", b"A: b\n c\nD:e\n", b""])
def test_most_headers_take_the_short_way(octets: bytes) -> None:
    assert plain_fields(octets) is not None


class _Never:
    def match(self, _text: str) -> None:
        return None


@given(st.text(st.sampled_from("ab.-_+=@'\"<>,;: \t1Z\\()[]é\x1f"), max_size=12))
@example("a@b")
@example("'a@b'")
@example("Ana B <a.c+d@x-y.example>")
@example("-a@b")
def test_a_field_of_one_plain_address_is_read_as_any_other(text: str) -> None:
    short = read_addresses(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(addresses, "_PLAIN_MAILBOX", _Never())
        assert read_addresses(text) == short


class _Everything:
    def __contains__(self, _sign: str) -> bool:
        return True


LINES = st.lists(
    st.sampled_from(
        ["On Mon, 1 Jan 2024 at 10:00, Ana <a@b.example> wrote:", "> quoted", ">", " > far", "-----Original Message-----", "From: Ana", "Sent: today", "To: Ben", "Subject: it",
         "It is broken", "she wrote", "", "  ", "-- ", "—", "____", "* a", "Tel: 12", "Am 1.1.2024 schrieb Ana:", "Begin forwarded message:", "发件人：安", "写道：", "x" * 70, "<", "Sent from my iPhone"]
    ),
    max_size=14,
).map("\n".join)  # fmt: skip


@given(LINES)
def test_lines_of_words_alone_are_kept_as_the_long_way_keeps_them(text: str) -> None:
    short = new_words(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reply, "_TELLING_ENDS", _Everything())
        assert new_words(text) == short
