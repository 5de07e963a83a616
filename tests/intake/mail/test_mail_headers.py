"""Header fields: unfolding, encoded words, identifiers, parameters, dates."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.mail.header import MAX_FIELDS, MAX_VALUE_CHARACTERS, Header, decode_words, eight_bit, text_of
from intake.mail.identifiers import MAX_IDENTIFIERS, identifiers, message_identifier
from intake.mail.parameters import parameters
from intake.mail.parse import date_of


def octets(raw: bytes) -> str:
    return raw.decode("ascii", "surrogateescape")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, ""),
        ("plain", "plain"),
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe_aus?= =?utf-8?b?S8O2bG4=?=", "Grüße ausKöln"),
        ("=?iso-8859-1?Q?caf=E9?=", "café"),
        ("Re: =?utf-8?q?=C3=BC?= and =?utf-8?q?=C3=A4?=", "Re: ü and ä"),
        ("=?utf-8?b?w7w=?=\n =?utf-8?b?w6Q=?=", "üä"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
        ("=?utf-8*de?q?=C3=BC?=", "ü"),
        ("=?utf-8?b?w7w?=", "ü"),
        ("=?x-unknown?q?abc?=", "abc"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("=?utf-8?q?unfinished", "=?utf-8?q?unfinished"),
        ("a\tb   c", "a b c"),
        ("nul\x00led", "nulled"),
        ("=?utf-8?q?=00?=x", "x"),
        (octets("Größe".encode()), "Größe"),
        (octets("Größe".encode("latin-1")), "Größe"),
        (octets(b"=?iso-8859-1?Q?Gr\xf6\xdfe?="), "Größe"),
        (octets(b"\xe4 =?utf-8?q?=C3=BC?= \xf6"), "ä ü ö"),
    ],
)  # fmt: skip
def test_values_are_decoded(raw: str | None, text: str):
    assert text_of(raw) == text


def test_raw_octets_are_read_by_the_charset_of_the_body():
    assert text_of(octets("Привет".encode("koi8-r")), charset="koi8-r") == "Привет"
    assert eight_bit(octets("Привет".encode("koi8-r") * 5)) == "Привет" * 5


@given(st.text(max_size=60))
def test_any_text_survives_being_encoded_words(text: str):
    words = " ".join(f"=?utf-8?q?{''.join(f'={octet:02X}' for octet in each.encode('utf-8', 'surrogatepass'))}?=" for each in text)
    clean = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    assert decode_words(words) == clean or "\ufffd" in clean


@given(st.text(alphabet="=?qbQB utf-8_=\n\udce4é", max_size=120))
def test_broken_encoded_words_are_text(raw: str):
    text_of(raw).encode("utf-8")


def test_a_header_is_read_once_and_bounded():
    header = Header([("Subject", " first "), ("SUBJECT", "second\r\n folded"), ("X", "a" * (MAX_VALUE_CHARACTERS + 5)), ("Odd", 7)])
    assert header.raw("subject") == "first"
    assert header.every("subject") == ["first", "second folded"]
    assert len(header.raw("x") or "") == MAX_VALUE_CHARACTERS
    assert header.raw("odd") == "7"
    assert header.raw("missing") is None
    assert header.word("subject") == "first"
    assert header.has("x")
    assert list(header.named("sub")) == ["subject"]
    assert not Header([(f"X-{number}", "") for number in range(MAX_FIELDS + 1)]).has(f"x-{MAX_FIELDS}")


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (None, ()),
        ("", ()),
        ("<a@b>", ("a@b",)),
        ("<a@b> <c@d>\n <a@b>", ("a@b", "c@d")),
        ("<<a@b>>", ("a@b",)),
        ("Your mail of Monday <a@b>", ("a@b",)),
        ("a@b, c@d", ("a@b", "c@d")),
        ("no identifier", ()),
        ("<>", ()),
        ("<with blank@b>", ("blank@b",)),
    ],
)  # fmt: skip
def test_identifiers_are_found(raw: str | None, found: tuple[str, ...]):
    assert identifiers(raw) == found


def test_of_too_many_identifiers_the_root_and_the_newest_are_kept():
    found = identifiers(" ".join(f"<{number}@x>" for number in range(500)))
    assert len(found) == MAX_IDENTIFIERS
    assert (found[0], found[1], found[-1]) == ("0@x", "401@x", "499@x")


@pytest.mark.parametrize(
    ("raw", "found"),
    [(None, None), ("<a@b>", "a@b"), ("a@b", "a@b"), ("<no-at-sign>", "no-at-sign"), ("bare-word", "bare-word"), ("two words", None), ("<>", None)],
)  # fmt: skip
def test_a_message_id_counts_as_written(raw: str | None, found: str | None):
    assert message_identifier(raw) == found


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("text/plain", {}),
        ("text/plain; charset=UTF-8", {"charset": "UTF-8"}),
        ('text/plain; NAME="a;b.txt"', {"name": "a;b.txt"}),
        ("text/plain; name=a b.txt", {"name": "a b.txt"}),
        ("text/plain; filename*=utf-8'de'%C3%BC.txt", {"filename": "ü.txt"}),
        ("text/plain; filename*0*=utf-8''%C3; filename*1*=%BC; filename*2=.txt", {"filename": "ü.txt"}),
        ('text/plain; name="=?utf-8?q?=C3=BC?=.txt"', {"name": "ü.txt"}),
        (octets("text/plain; name=ü.txt".encode()), {"name": "ü.txt"}),
        (octets("text/plain; name=ü.txt".encode("latin-1")), {"name": "ü.txt"}),
        (octets("text/plain; name*=utf-8''ü%20€.txt".encode()), {"name": "ü €.txt"}),
        ("multipart/mixed; boundary=\"=?a  b?=\"", {"boundary": "=?a  b?="}),
        ("x; a*1*=b; a*=c; *=2", {}),
        ("text/plain" + "; a=b" * 200, {}),
        ("text/plain; a=" + "b" * 9_000, {}),
    ],
)  # fmt: skip
def test_parameters_are_read(raw: str, found: dict[str, str]):
    assert dict(parameters(raw)) == found


@given(st.text(alphabet="ab*=;'\"0123%\\ \udce4é", max_size=150))
def test_any_parameters_are_read(raw: str):
    for name, value in parameters(f"text/plain;{raw}").items():
        assert name == name.lower()
        if name != "boundary":
            value.encode("utf-8")


@pytest.mark.parametrize(
    ("raw", "instant"),
    [
        ("Mon, 2 Mar 2026 09:00:00 +0100", datetime(2026, 3, 2, 8, tzinfo=UTC)),
        ("2 Mar 2026 09:00:00 -0000", datetime(2026, 3, 2, 9, tzinfo=UTC)),
        ("Mon, 2 Mar 26 09:00 EST", datetime(2026, 3, 2, 14, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        (None, None),
        ("31 Dec 9999 23:00:00 -1400", None),
        ("Mon, 99 Mar 2026 09:00:00 +0100", None),
        ("Mon, 2 Mar 2026 09:00:00 +9999999999", None),
    ],
)  # fmt: skip
def test_dates_are_instants_or_nothing(raw: str | None, instant: datetime | None):
    assert date_of(raw) == instant


@given(st.text(alphabet="Mon, 0123456789 JanFebDec:+-ESTZ\u0661", max_size=60))
def test_any_date_is_an_instant_or_nothing(raw: str):
    found = date_of(raw)
    assert found is None or found.tzinfo is UTC
