"""winmail.dat: its files and words are shown, the stream itself is kept, and one made to hang or to swell is left unopened (A31)."""

import base64
import hashlib

import msgspec
import pytest

from intake.child import files_of
from intake.mail import tnef
from intake.mail.body import attachment_bytes
from itsm.notification import FilesFound, FilesWanted
from itsm.signal import UserMessage
from tests.intake.mail.mails import TOP, message_of, mixed

TITLE, DATA, RENDERING, MAPI, BODY, PROPERTIES, CODEPAGE, RECIPIENTS = 0x8010, 0x800F, 0x9002, 0x9005, 0x800C, 0x9003, 0x9007, 0x9004
UNICODE, BINARY, SHORTS = 0x001F, 0x0102, 0x1002


def an_object(level: int, name: int, data: bytes, kind: int = 6) -> bytes:
    return bytes([level]) + name.to_bytes(2, "little") + kind.to_bytes(2, "little") + len(data).to_bytes(4, "little") + data + b"\0\0"


def stream(*objects: bytes) -> bytes:
    return tnef.SIGNATURE + b"\x01\0" + an_object(1, CODEPAGE, (1252).to_bytes(4, "little")) + b"".join(objects)


def prop(kind: int, name: int, data: bytes) -> bytes:
    padded = data + b"\0" * (-len(data) % 4)
    return kind.to_bytes(2, "little") + name.to_bytes(2, "little") + (1).to_bytes(4, "little") + len(data).to_bytes(4, "little") + padded


def properties(*props: bytes, count: int | None = None) -> bytes:
    return (len(props) if count is None else count).to_bytes(4, "little") + b"".join(props)


def a_file(title: bytes, data: bytes, *more: bytes) -> bytes:
    return an_object(2, RENDERING, b"\0" * 14) + an_object(2, TITLE, title + b"\0") + an_object(2, DATA, data) + b"".join(more)


def part(octets: bytes, content_type: bytes = b"application/ms-tnef") -> bytes:
    fields = b"Content-Type: " + content_type + b'; name="winmail.dat"\nContent-Transfer-Encoding: base64\n\n'
    return fields + base64.encodebytes(octets)


def mail_with(*objects: bytes, text: bytes = b"See the attachment.") -> tuple[bytes, UserMessage]:
    raw = mixed(b"\n" + text, part(stream(*objects)))
    return raw, message_of(raw)


def test_its_files_are_attachments_that_can_be_fetched_and_the_stream_is_kept() -> None:
    crlf = b"one\r\ntwo\r\n"
    raw, mail = mail_with(a_file(b"bill.pdf", b"%PDF-1.7 bill"), a_file(b"St\xf6rung.txt", crlf))
    assert [(each.filename, each.size_bytes) for each in mail.attachments[1:]] == [("bill.pdf", 13), ("Störung.txt", 10)]
    assert (mail.attachments[0].filename, mail.text.strip(), mail.defects) == ("winmail.dat", "See the attachment.", ())
    for each, octets in zip(mail.attachments[1:], (b"%PDF-1.7 bill", crlf), strict=True):
        assert attachment_bytes(raw, each.part_index) == octets
        assert each.sha256 == hashlib.sha256(octets).hexdigest()
    wanted = FilesWanted(body=raw, part_indexes=(*(each.part_index for each in mail.attachments[1:]), 99))
    answer = msgspec.msgpack.decode(files_of(msgspec.msgpack.encode(wanted)), type=FilesFound)
    assert answer.contents == (b"%PDF-1.7 bill", crlf, None)


def test_a_long_name_counts_more_than_a_short_one() -> None:
    long = an_object(2, MAPI, properties(prop(UNICODE, tnef.LONG_FILENAME, "Rechnung für März.pdf\0".encode("utf-16-le"))))
    _, mail = mail_with(a_file(b"RECHNU~1.PDF", b"x", long))
    assert mail.attachments[1].filename == "Rechnung für März.pdf"


@pytest.mark.parametrize("name", [b"application/vnd.ms-tnef", b"application/octet-stream"])
def test_it_is_known_by_its_type_or_its_name(name: bytes) -> None:
    mail = message_of(mixed(b"\nhi", part(stream(a_file(b"a.txt", b"x")), name)))
    assert [each.filename for each in mail.attachments] == ["winmail.dat", "a.txt"]


def test_its_words_are_read_where_the_mail_itself_says_nothing() -> None:
    body = an_object(1, BODY, "Die Tür klemmt.\0".encode("cp1252"))
    assert mail_with(body, text=b"")[1].text == "Die Tür klemmt."
    assert mail_with(body)[1].text.strip() == "See the attachment."
    html = an_object(1, PROPERTIES, properties(prop(BINARY, 0x1013, b"<p>The <b>door</b> sticks</p>")))
    assert mail_with(html, text=b"")[1].text.split() == ["The", "door", "sticks"]


def test_rich_text_alone_is_told_of() -> None:
    rich = an_object(1, PROPERTIES, properties(prop(BINARY, 0x1009, b"LZFu....")))
    assert mail_with(rich)[1].defects == (tnef.RICH_TEXT,)


def test_whether_it_could_be_opened_makes_no_other_mail_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raw, opened = mail_with(a_file(b"bill.pdf", b"bill"))
    monkeypatch.setattr(tnef, "TNEF", None)
    closed = message_of(raw)
    assert closed.defects == ("winmail.dat was not opened: install the extra, pip install 'triaged[tnef]'",)
    assert [each.filename for each in closed.attachments] == ["winmail.dat"]
    assert (closed.content_sha256, closed.fallback_sha256) == (opened.content_sha256, opened.fallback_sha256)
    assert attachment_bytes(raw, opened.attachments[1].part_index) is None


@pytest.mark.parametrize("octets", [b"", b"no stream", tnef.SIGNATURE, stream() + b"\xff" * 40, stream(a_file(b"a", b"b"))[:-30]])
def test_a_damaged_one_is_kept_and_the_mail_is_read(octets: bytes) -> None:
    mail = message_of(mixed(b"\nhi", part(octets)))
    assert (mail.text.strip(), mail.attachments[0].filename) == ("hi", "winmail.dat")


def test_files_beyond_a_hundred_are_told_of() -> None:
    _, mail = mail_with(*(a_file(b"a%d.txt" % at, b"x") for at in range(120)))
    assert len(mail.attachments) == 1 + tnef.MAX_FILES
    assert mail.defects == ("winmail.dat holds 120 files: the first 100 are shown",)


MANY = (4_000_000_000).to_bytes(4, "little")
BOMBS = {
    "properties without end": an_object(1, PROPERTIES, properties(count=4_000_000_000)),
    "values without end": an_object(1, PROPERTIES, properties(SHORTS.to_bytes(2, "little") + b"\1\0" + MANY, count=1)),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("defended", [True, False])
@pytest.mark.parametrize("bomb", BOMBS)
def test_one_made_to_run_for_ever_is_stopped(bomb: str, monkeypatch: pytest.MonkeyPatch, defended: bool) -> None:
    """Switched off, the library is let go on for four times as many calls, and is not done then either."""
    if not defended:
        monkeypatch.setattr(tnef, "MAX_CALLS", 4 * tnef.MAX_CALLS)
    assert mail_with(BOMBS[bomb])[1].defects == (tnef.TOO_LARGE,)


def test_objects_without_end_are_not_even_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    many = an_object(1, 1, b"") * (tnef.MAX_OBJECTS + 1)
    monkeypatch.setattr(tnef, "_within_budget", lambda _octets: pytest.fail("it was begun"))
    assert mail_with(many)[1].defects == (tnef.TOO_LARGE,)
    assert message_of(TOP + b"\nhi").defects == ()
