"""The charset ladder: BOM, declared through aliases, UTF-8, a guess, cp1252. It records when the declared one was wrong."""

import codecs

import chardet

GUESS_SAMPLE_BYTES = 16_384
MIN_GUESS_BYTES = 200
MIN_WORD_BYTES = 5
_ASCII = bytes(range(128))
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
ALLOWED = frozenset(  # text encodings only: never zlib, hex, rot13 or an import of a codec by name (A29)
    {"ascii", "utf-8", "utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "gb18030", "hz", "big5hkscs"}
    | {"cp949", "iso2022_kr", "johab", "cp932", "euc_jp", "iso2022_jp_2", "iso2022_jp_ext", "shift_jisx0213"}
    | {f"cp{page}" for page in (437, 720, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869, 874)}
    | {f"cp{page}" for page in range(1250, 1259)}
    | {f"iso8859-{part}" for part in (*range(2, 9), 10, 13, 14, 15, 16)}
    | {"koi8-r", "koi8-u", "mac_roman", "mac_cyrillic", "mac_latin2", "mac_greek", "mac_turkish", "mac_iceland", "ptcp154"}
)
ALIASES = {  # what senders write, without punctuation -> what they mean; supersets that real mail needs
    "ascii": "us-ascii usascii ansix341968 iso646us 646", "utf-8": "utf8mb4 unicode11utf8 utf8", "utf-7": "unicode11utf7",
    "cp1252": "iso88591 latin1 l1 isolatin1 csisolatin1 88591 ansi", "cp1254": "iso88599 latin5", "iso8859-2": "latin2 l2",
    "iso8859-8": "iso88598i iso88598e", "iso8859-15": "latin9 latin0", "gb18030": "gb2312 gbk xgbk gb231280 cp936 euccn csgb2312",
    "cp949": "ksc56011987 ksc5601 ksc5601 euckr uhc ks", "cp932": "shiftjis xsjis sjis windows31j ms932 mskanji", "euc_jp": "xeucjp ujis",
    "iso2022_jp_ext": "iso2022jp iso2022jpms csiso2022jp cp50220", "big5hkscs": "big5 xbig5 cp950 big5tw", "cp874": "tis620 iso885911 windows874",
    "mac_roman": "macintosh xmacroman", "mac_cyrillic": "xmaccyrillic",
}  # fmt: skip
SELDOM_BAD = 4  # characters of several octets for each damaged one: then it is UTF-8 with damage, not something else


def _key(charset: str) -> str:
    return "".join(each for each in charset.casefold() if each.isalnum())


CODECS: dict[str, str] = (
    {_key(codec): codec for codec in sorted(ALLOWED)}
    | {f"windows{page}": f"cp{page}" for page in range(1250, 1259)}
    | {_key(word): codec for codec, words in ALIASES.items() for word in words.split()}
)


def codec_of(charset: str) -> str | None:
    """The codec for a declared charset, None when it is none we read."""
    return CODECS.get(_key(charset[:60]))


def decode(octets: bytes, declared: str | None, *, guess: bool = True) -> tuple[str, str | None]:
    """The text, and a defect when it was not what the declared charset says. Never raises. A guess costs about a millisecond."""
    for bom, form in BOMS:
        if octets.startswith(bom):
            return octets[len(bom) :].decode(form, "replace"), None
    codec = codec_of(declared) if declared else None
    if codec is not None:
        text = _strictly(octets, codec)
        if text is not None:
            return text, None
    elif octets.isascii():
        return octets.decode("ascii"), f"unknown charset {declared[:40]!r}" if declared else None
    return _undeclared(octets, codec, f"not {declared[:40]}" if declared else "no charset given", guess)


def _undeclared(octets: bytes, codec: str | None, wrong: str, guess: bool) -> tuple[str, str]:
    """The lower steps of the ladder, when the declared codec is missing, unknown or wrong."""
    text = octets.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    if not bad or bad * SELDOM_BAD < len(octets) - len(text):
        return text, f"{wrong}, read as utf-8" if codec != "utf-8" else f"{wrong}, damaged octets replaced"
    if codec is not None and codec not in ("ascii", "utf-8"):
        return octets.decode(codec, "replace"), f"{wrong}, damaged octets replaced"
    guessed = codec_of(str(chardet.detect(octets[:GUESS_SAMPLE_BYTES])["encoding"] or "")) if guess and _can_be_guessed(octets) else None
    found = _strictly(octets, guessed) if guessed else None
    if found is not None:
        return found, f"{wrong}, read as {guessed}"
    return octets.decode("cp1252", "replace"), f"{wrong}, read as cp1252"


def _can_be_guessed(octets: bytes) -> bool:
    """A few words with some accents are Western far more often than what a guess makes of them."""
    return len(octets) >= MIN_GUESS_BYTES or (len(octets) > MIN_WORD_BYTES and len(octets.translate(None, delete=_ASCII)) * 2 > len(octets))


def _strictly(octets: bytes, codec: str) -> str | None:
    try:
        return octets.decode(codec)
    except ValueError:
        return octets.decode("latin-1") if codec == "cp1252" else None  # five octets are undefined in it and defined in ISO 8859-1


def clean(text: str) -> str:
    """Text for the store: no NUL, no surrogates (design 5)."""
    if text.isascii():
        return text.replace("\x00", "") if "\x00" in text else text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
