"""Files that stand uuencoded in a text, as mail programs before MIME wrote them (mail 30): named, and no words of anybody.

They stay in the text, which is kept as it was sent. A part that says it is uuencoded is decoded by `transfer`.
"""

import re

MAX_FILES = 50
MAX_NAMES = 5
_BEGIN = re.compile(r"(?m)^begin [0-7]{3,4} ([^\n]{1,250})\n(?=[!-M`][ -`]{0,90}\n)")  # and a line of at most 45 octets
_END = re.compile(r"\nend[ \t]*(?:\n|\Z)")


def without_files(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without at most 50 encoded files, and their names; one without its end line stays, and so does all behind it. Linear."""
    if "begin " not in text:
        return text, ()
    kept: list[str] = []
    names: list[str] = []
    at = 0
    while len(names) < MAX_FILES:
        begin = _BEGIN.search(text, at)
        last = _END.search(text, begin.end() - 1) if begin else None
        if begin is None or last is None:
            break
        kept.append(text[at : begin.start()])
        names.append(begin[1].strip() or "file")
        at = last.end()
    return "".join([*kept, text[at:]]), tuple(names)


def told_of(names: tuple[str, ...]) -> str:
    """What is said of such files on the ticket."""
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return f"the text holds uuencoded files: {', '.join(names[:MAX_NAMES])}{more}"
