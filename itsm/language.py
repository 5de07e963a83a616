"""Language tags (RFC 5646), as far as they name a language, a script and a region."""

import re

_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}")


def is_language_tag(text: str) -> bool:
    """Whether it is a tag such as `de`, `pt-BR` or `zh-Hant-TW`; it holds nothing but letters, digits and hyphens then."""
    return _TAG.fullmatch(text) is not None


def conventional(tag: str) -> str:
    """The tag in the usual case, which has no meaning: `pt-BR`, `zh-Hant` (RFC 5646 2.1.1)."""
    first, *rest = tag.lower().split("-")
    return "-".join([first, *(each.upper() if len(each) == 2 else each.capitalize() if len(each) == 4 else each for each in rest)])


def lookup(tag: str) -> tuple[str, ...]:
    """What to look for, best first: the tag, and the tag without its last parts (RFC 4647 3.4); nothing for what is no tag."""
    if not is_language_tag(tag):
        return ()
    parts = conventional(tag).split("-")
    return tuple("-".join(parts[:count]) for count in range(len(parts), 0, -1))
