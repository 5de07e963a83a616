"""The walk over the parts: where parts begin and end, and what it does with what is broken (RFC 2046 5.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.mail.walk import MAX_DEPTH, MAX_PARTS, walk
from tests.intake.mail.mails import MIXED, TOP, mixed


def bodies(raw: bytes) -> list[tuple[str, bytes]]:
    return [(leaf.content_type, leaf.octets()[0]) for leaf in walk(raw).leaves]


def test_a_single_part():
    assert bodies(TOP + b"\nhello\n") == [("text/plain", b"hello\n")]


def test_parts_are_cut_at_their_boundaries():
    raw = mixed(b"\none", b"Content-Type: text/html\n\n<p>two", b"Content-Type: image/png\n\nthree\n")
    assert bodies(raw) == [("text/plain", b"one"), ("text/html", b"<p>two"), ("image/png", b"three\n")]
    assert walk(raw).defects == ()


def test_preamble_and_epilogue_are_not_parts():
    assert bodies(MIXED + b"preamble\n--b\n\none\n--b--\nepilogue\n--b\n\nnot a part\n") == [("text/plain", b"one")]


def test_a_line_that_only_begins_like_a_boundary_is_text():
    assert bodies(mixed(b"\none\n--bb\n--b x\n --b")) == [("text/plain", b"one\n--bb\n--b x\n --b")]


def test_blanks_after_a_boundary_do_not_matter():
    assert bodies(MIXED + b"--b \t\r\n\r\none\r\n--b-- \r\n") == [("text/plain", b"one")]


def test_an_inner_part_ends_where_an_outer_one_does():
    raw = MIXED + b'--b\nContent-Type: multipart/alternative; boundary="in"\n\n--in\n\none\n--b\n\ntwo\n--b--\n'
    assert bodies(raw) == [("text/plain", b"one"), ("text/plain", b"two")]
    assert walk(raw).defects == ("the last boundary is missing",)


def test_a_boundary_that_is_the_beginning_of_another():
    raw = (
        TOP
        + b'Content-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: multipart/mixed; boundary="xy"\n\n--xy\n\none\n--xy--\n--x--\n'
    )
    assert bodies(raw) == [("text/plain", b"one")]


def test_an_empty_part_and_a_part_that_is_header_only():
    assert bodies(MIXED + b"--b\n--b\nContent-Type: image/png\n--b\n\n--b--\n") == [
        ("text/plain", b""),
        ("image/png", b""),
        ("text/plain", b""),
    ]


def test_a_part_without_blank_line_before_its_text():
    assert bodies(mixed(b"just words\nand more")) == [("text/plain", b"just words\nand more")]


def test_a_closing_boundary_alone_leaves_text():
    assert bodies(MIXED + b"words\n--b--\n") == [("text/plain", b"words\n--b--\n")]


@pytest.mark.parametrize(
    ("field", "content_type"),
    [
        (b"Content-Type: TEXT/HTML; charset=utf-8", "text/html"),
        (b"Content-Type: text", "text/plain"),
        (b"Content-Type: html", "text/html"),
        (b"Content-Type:", "text/plain"),
        (b"Content-Type: a b/c", "text/plain"),
        (b"Content-Type: ;boundary=b", "text/plain"),
        (b"X: y", "text/plain"),
    ],
)  # fmt: skip
def test_types_that_cannot_be_read_are_text(field: bytes, content_type: str):
    assert bodies(TOP + field + b"\n\nx") == [(content_type, b"x")]


def test_a_multipart_whose_type_is_missing_is_known_by_its_boundary():
    assert bodies(TOP + b'Content-Type: ; boundary="b"\n\n--b\n\none\n--b--\n') == [("text/plain", b"one")]


def test_a_digest_holds_mails():
    raw = TOP + b'Content-Type: multipart/digest; boundary="b"\n\n--b\n\nSubject: one\n\nx\n--b--\n'
    assert bodies(raw) == [("message/rfc822", b"Subject: one\n\nx")]


def test_what_stands_in_related_and_alternative_knows_it():
    raw = mixed(
        b'Content-Type: multipart/alternative; boundary="a"\n\n--a\n\nplain\n--a\n'
        b'Content-Type: multipart/related; boundary="r"\n\n--r\nContent-Type: text/html\n\nhtml\n--r--\n--a--',
        b"\nfooter",
    )  # fmt: skip
    plain, html, footer = walk(raw).leaves
    assert (plain.related, html.related, footer.related) == (False, True, False)
    assert plain.alternative == html.alternative != footer.alternative == 0
    assert not plain.alone


@pytest.mark.parametrize(
    "before", [b"From ana@example.com Mon Mar  2 09:00:00 2026\n", b">From x\n", b"\n\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\nFrom x\n"]
)
def test_what_stands_before_the_header_is_passed_over(before: bytes):
    found = walk(before + TOP + b"\nhello")
    assert found.header.raw("subject") == "Printer"
    assert found.leaves[0].octets()[0] == b"hello"


def test_a_header_without_blank_line_ends_where_its_fields_end():
    found = walk(TOP + b"hello, this is\n\nthe text\n")
    assert found.leaves[0].octets()[0] == b"hello, this is\n\nthe text\n"
    assert found.defects == ("a header ends without a blank line",)


def test_lines_that_are_no_fields_are_left_out_of_a_header():
    found = walk(b"From: a@b\nbad one\nTo: c@d\nbad two\nSubject: s\n\nx")
    assert (found.header.raw("to"), found.header.raw("subject")) == ("c@d", "s")
    many = walk(b"From: a@b\n" + b"bad\nTo: c@d\n" * 10 + b"\nx")
    assert "a header ends without a blank line" in many.defects
    assert many.header.raw("to") == "c@d"


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"\r", b"From ", b"\xef\xbb\xbf", b":", b"--b", b"\x00", b"Content-Type: multipart/mixed; boundary=b\n\n--b"]
)
def test_hardly_anything_is_one_part(raw: bytes):
    assert len(walk(raw).leaves) == 1


def test_names_of_files():
    raw = mixed(
        b"Content-Type: text/x; name=a.txt\n\n",
        b"Content-Type: text/x; name=a.txt\nContent-Disposition: attachment; filename=b.txt\n\n",
        b"Content-Type: message/rfc822\n\n",
        b"Content-Disposition: attachment\n\n",
    )  # fmt: skip
    assert [leaf.file_name() for leaf in walk(raw).leaves] == ["a.txt", "b.txt", "message.eml", ""]


@given(st.lists(st.binary(max_size=40).map(lambda octets: octets.replace(b"--b", b"").replace(b"\r", b"")), max_size=8))
def test_every_part_comes_back_as_it_was_written(parts: list[bytes]):
    raw = mixed(*(b"Content-Type: image/png\nContent-Transfer-Encoding: binary\n\n" + each for each in parts))
    assert [octets for _, octets in bodies(raw)] == parts or not parts


@given(
    st.lists(
        st.sampled_from(
            [
                b"--b\n",
                b"--b--\n",
                b"--c\n",
                b"--c--\n",
                b"\n",
                b"x\n",
                b"Content-Type: multipart/mixed; boundary=c\n",
                b"Content-Type: message/rfc822\n",
            ]
        )
    )
)
def test_any_order_of_boundaries_is_walked_within_its_limits(lines: list[bytes]):
    found = walk(MIXED + b"".join(lines))
    assert 1 <= len(found.leaves) <= MAX_PARTS
    assert [leaf.index for leaf in found.leaves] == list(range(len(found.leaves)))
    assert all(leaf.start <= leaf.end for leaf in found.leaves)


def test_too_deep_a_nesting_is_kept_in_one_piece():
    raw = (
        TOP
        + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (depth, depth) for depth in range(MAX_DEPTH + 5))
        + b"\nx"
    )
    found = walk(raw)
    assert [leaf.content_type for leaf in found.leaves] == ["multipart/mixed"]
    assert f"parts nest deeper than {MAX_DEPTH}: the rest is kept in one piece" in found.defects
