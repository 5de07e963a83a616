"""What a mail says and what it carries (mail 22 to 33)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.mail.body import MAX_ALL_TEXT_BYTES, MAX_TEXT_BYTES, MAX_TEXT_CHARACTERS, unflowed
from intake.mail.calendar import words_of_event
from intake.mail.html import html_charset, html_text
from tests.intake.mail.mails import TOP, content, mixed

ALTERNATIVE = TOP + b'Content-Type: multipart/alternative; boundary="b"\n\n'
HTML = b"Content-Type: text/html\n\n<p>in HTML</p>"


def test_texts_between_files_keep_their_order():
    found = content(mixed(b"\nfirst", b"Content-Type: image/png; name=a.png\n\nx", b"\nsecond"))
    assert found.text == "first\n\nsecond"
    assert [each.filename for each in found.attachments] == ["a.png"]


def test_of_an_alternative_plain_text_is_read_and_html_is_no_attachment():
    found = content(ALTERNATIVE + b"--b\n\nplain\n--b\n" + HTML + b"\n--b--\n")
    assert (found.text, found.attachments) == ("plain", ())


def test_an_empty_plain_text_gives_way_to_html():
    assert content(ALTERNATIVE + b"--b\n\n \n\n--b\n" + HTML + b"\n--b--\n").text == "in HTML"


def test_html_beside_a_footer_is_read_too():
    assert content(mixed(HTML, b"\nfooter of the list")).text == "in HTML\n\nfooter of the list"


@pytest.mark.parametrize(
    "part",
    [b"Content-Type: text/plain; name=log.txt\n\nx", b"Content-Type: text/plain\nContent-Disposition: attachment\n\nx", b"Content-Type: text/csv\n\nx", b"Content-Type: text/html; name=a.html\nContent-Disposition: inline\n\nx"],
)  # fmt: skip
def test_a_text_that_is_meant_as_a_file_is_one(part: bytes):
    found = content(mixed(b"\nwords", part))
    assert found.text == "words"
    assert len(found.attachments) == 1


def test_the_only_part_is_read_even_when_it_has_a_name():
    assert content(TOP + b"Content-Type: text/plain; name=mail.txt\n\nwords").text == "words"
    assert content(TOP + b"Content-Type: text/plain; name=mail.txt\nContent-Disposition: attachment\n\nwords").text == ""


@pytest.mark.parametrize(
    ("fields", "inline"),
    [(b"Content-Disposition: inline\n", True), (b"Content-ID: <a@b>\n", False), (b"Content-Disposition: attachment\nContent-ID: <a@b>\n", False)],
)  # fmt: skip
def test_which_files_are_inline(fields: bytes, inline: bool):
    [file] = content(mixed(b"Content-Type: image/png\n" + fields + b"\nx")).attachments
    assert file.inline is inline


def test_a_picture_of_an_html_text_is_inline():
    related = (
        b'Content-Type: multipart/related; boundary="r"\n\n--r\n' + HTML + b"\n--r\nContent-Type: image/png\nContent-ID: <a@b>\n\nx\n--r--"
    )
    [picture] = content(mixed(related)).attachments
    assert (picture.inline, picture.content_id, picture.filename) == (True, "a@b", None)


def test_names_of_files_are_one_clean_line():
    [file] = content(mixed(b'Content-Type: image/png; name="=?utf-8?q?a=0D=0Ab=00.png?="\n\nx')).attachments
    assert file.filename == "a b.png"
    [long] = content(mixed(b"Content-Type: image/png; name=" + b"x" * 400 + b"\n\nx")).attachments
    assert len(long.filename or "") == 250


def test_nul_characters_are_removed_and_said():
    found = content(TOP + b"\na\x00b")
    assert (found.text, found.defects) == ("ab", ("NUL characters were removed",))


def test_surrogates_never_get_through():
    found = content(TOP + b"Content-Type: text/plain; charset=utf-7\n\n+2AA- x")
    found.text.encode("utf-8")


def test_carriage_returns_are_line_ends():
    assert content(TOP + b"Content-Transfer-Encoding: base64\n\nYQ1iDQpjCg==").text == "a\nb\nc"


def test_a_long_text_is_cut_at_a_line_and_said():
    found = content(TOP + b"Content-Type: text/plain; charset=utf-8\n\n" + "größe\n".encode() * 200_000)
    assert "a text was read up to 1048576 bytes only" in found.defects
    assert len(found.text) <= MAX_TEXT_CHARACTERS
    assert "\ufffd" not in found.text
    assert "charset" not in "".join(found.defects)


def test_a_long_line_is_cut_anywhere():
    assert len(content(TOP + b"\n" + b"a" * (MAX_TEXT_BYTES + 10)).text) == MAX_TEXT_CHARACTERS


def test_all_texts_together_are_bounded():
    found = content(mixed(*(b"\n" + b"a b\n" * 200_000 for _ in range(MAX_ALL_TEXT_BYTES // 800_000 + 2))))
    assert f"the text was read up to {MAX_TEXT_CHARACTERS} characters" in found.defects
    assert len(found.text) <= MAX_TEXT_CHARACTERS


def test_at_most_ten_charsets_are_guessed():
    russian = ("Привет, наш принтер на третьем этаже не печатает. " * 5).encode("koi8-r")
    found = content(mixed(*(b"\n" + russian for _ in range(12))))
    assert {each.partition(": ")[2] for each in found.defects} == {
        "charset: no charset given, read as koi8-r",
        "charset: no charset given, read as cp1252",
    }


@pytest.mark.parametrize(
    ("flowed", "delete_space", "text"),
    [
        ("one \ntwo", False, "one two"),
        ("one \ntwo", True, "onetwo"),
        ("one\ntwo", False, "one\ntwo"),
        ("> one \n> two\nmine", False, "> one two\nmine"),
        (">> a \n> b", False, ">> a \n> b"),
        ("end \n-- \nAna", False, "end \n-- \nAna"),
        (" stuffed\n >not a quote", False, "stuffed\n>not a quote"),
        ("", False, ""),
        ("\n\n", False, "\n\n"),
        ("a \n", False, "a "),
    ],
)  # fmt: skip
def test_flowed_lines_are_joined(flowed: str, delete_space: bool, text: str):
    assert unflowed(flowed, delete_space=delete_space) == text


@given(st.text(alphabet="a >-\n", max_size=200))
def test_joining_flowed_lines_loses_no_letter(text: str):
    assert unflowed(text, delete_space=False).count("a") == text.count("a")


def test_flowed_is_a_parameter():
    assert content(TOP + b"Content-Type: text/plain; format=Flowed; DelSp=Yes\n\nfl \nowed").text == "flowed"


def test_the_charset_of_html_may_stand_in_the_html():
    assert html_charset(b'<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">') == "koi8-r"
    assert html_charset(b"<p>x") is None
    raw = TOP + b"Content-Type: text/html\n\n" + '<meta charset="koi8-r"><p>Привет'.encode("koi8-r")
    assert content(raw).text == "Привет"


def test_html_keeps_its_form_and_loses_what_is_no_text():
    html = "<title>t</title><style>p{}</style><script>x()</script><p>one<br>two</p><!-- no --><p>three <a href='https://x'>link</a><img alt='logo'></p>"
    assert html_text(html).split() == ["one", "two", "three", "link"]
    assert html_text("") == ""


def test_lists_beyond_reason_lose_their_indentation_only():
    words = html_text("<ol><li>a" * 3_000)
    assert words.count("a") == 3_000
    assert len(words) < 30_000


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("BEGIN:VEVENT\r\nSUMMARY;LANGUAGE=en:Meet\r\n ing\r\nDTSTART;TZID=X:2026\r\nEND:VEVENT", "Meeting\nStart: 2026"),
        ("BEGIN:VEVENT\nSUMMARY:a\\; b\\\\\nSUMMARY:second\nORGANIZER:mailto:a@b\nDTEND:1\nEND:VEVENT\nSUMMARY:x", "a; b\\\nEnd: 1\nOrganizer: mailto:a@b"),
        ("BEGIN:VTODO\nSUMMARY:no event\nEND:VTODO", ""),
        ("BEGIN:VEVENT\nSUMMARY:\nX", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_an_event_is_told_in_words(written: str, words: str):
    assert words_of_event(written.encode()) == words


def test_a_mail_with_words_and_an_invitation_says_its_words():
    found = content(mixed(b"\nPlease come.", b"Content-Type: text/calendar\n\nBEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT"))
    assert found.text == "Please come."
