"""The charset ladder (A29): declared, UTF-8, a guess, cp1252; and never a codec that is no charset."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.mail.charset import ALLOWED, CODECS, clean, codec_of, decode


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("utf8", "utf-8"),
        ('"iso-8859-1"', "cp1252"),
        ("ISO_8859-1", "cp1252"),
        ("latin1", "cp1252"),
        ("windows-1252", "cp1252"),
        ("Windows-1251", "cp1251"),
        ("cp1251", "cp1251"),
        ("iso-8859-15", "iso8859-15"),
        ("ISO-8859-2", "iso8859-2"),
        ("gb2312", "gb18030"),
        ("ks_c_5601-1987", "cp949"),
        ("EUC-KR", "cp949"),
        ("Shift_JIS", "cp932"),
        ("iso-2022-jp", "iso2022_jp_ext"),
        ("euc-jp", "euc_jp"),
        ("KOI8-R", "koi8-r"),
        ("us-ascii", "ascii"),
        ("ANSI_X3.4-1968", "ascii"),
        ("iso-8859-8-i", "iso8859-8"),
        ("tis-620", "cp874"),
        ("zlib", None),
        ("hex", None),
        ("rot13", None),
        ("base64", None),
        ("bz2_codec", None),
        ("idna", None),
        ("punycode", None),
        ("unicode_escape", None),
        ("x-unknown", None),
        ("", None),
    ],
)  # fmt: skip
def test_declared_names_are_understood(declared: str, codec: str | None):
    assert codec_of(declared) == codec


def test_every_codec_is_a_text_encoding_of_python():
    for codec in set(CODECS.values()) | ALLOWED:
        assert codecs.lookup(codec)._is_text_encoding  # CPython's own mark for what str.encode accepts


@pytest.mark.parametrize(
    ("octets", "declared", "text", "defect"),
    [
        (b"abc", None, "abc", None),
        (b"abc", "us-ascii", "abc", None),
        (b"abc", "x-unknown", "abc", "unknown charset 'x-unknown'"),
        ("ü".encode(), "utf-8", "ü", None),
        ("ü".encode(), "us-ascii", "ü", "not us-ascii, read as utf-8"),
        ("ü".encode(), None, "ü", "no charset given, read as utf-8"),
        ("ü".encode("latin-1"), "iso-8859-1", "ü", None),
        (b"\x81", "iso-8859-1", "\x81", None),
        ("“ü”".encode("cp1252"), "iso-8859-1", "“ü”", None),
        ("嘉".encode("gb18030"), "gb2312", "嘉", None),
        (codecs.BOM_UTF8 + "ü".encode(), "us-ascii", "ü", None),
        (codecs.BOM_UTF16_LE + "ü".encode("utf-16-le"), None, "ü", None),
        (codecs.BOM_UTF16_BE + "ü".encode("utf-16-be"), None, "ü", None),
        (codecs.BOM_UTF32_LE + "ü".encode("utf-32-le"), None, "ü", None),
        ("Grüße ".encode() * 20 + b"\xff", "utf-8", "Grüße " * 20 + "\ufffd", "not utf-8, damaged octets replaced"),
        ("あ".encode("euc-jp") + b"\xff", "euc-jp", "あ\ufffd", "not euc-jp, damaged octets replaced"),
        (b"gr\xfc\xdf", None, "grüß", "no charset given, read as cp1252"),
        (b"gr\xfc\xdf", "zlib", "grüß", "not zlib, read as cp1252"),
    ],
)  # fmt: skip
def test_the_ladder(octets: bytes, declared: str | None, text: str, defect: str | None):
    assert decode(octets, declared) == (text, defect)


def test_enough_text_without_charset_is_guessed():
    text = "Привет, наш принтер на третьем этаже не печатает уже второй день, помогите пожалуйста. " * 4
    assert decode(text.encode("koi8-r"), None) == (text, "no charset given, read as koi8-r")
    assert decode(text.encode("koi8-r"), None, guess=False)[1] == "no charset given, read as cp1252"


@given(st.binary(max_size=300), st.one_of(st.none(), st.sampled_from(sorted(CODECS)), st.text(max_size=20)))
def test_any_octets_give_text_that_can_be_stored(octets: bytes, declared: str | None):
    text, _ = decode(octets, declared)
    stored = clean(text)
    assert "\x00" not in stored
    stored.encode("utf-8")


@pytest.mark.parametrize("text", ["Grüße aus Köln", "Zażółć gęślą jaźń", "Привет", "こんにちは世界"])
@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "gb18030", "utf-7"])
def test_what_a_charset_can_write_is_read_back(text: str, charset: str):
    assert decode(text.encode(charset), charset)[0] == text
