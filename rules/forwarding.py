"""Is this mail passed on rather than answered? A forward carries the thread's references and is no follow-up (mail case 14)."""

import re

# What programs put before the subject of a forward, by language: English, German, French, Spanish, Portuguese, Italian, Dutch, Danish,
# Swedish, Norwegian, Finnish, Polish, Czech, Hungarian, Romanian, Greek, Turkish, Russian, Chinese, Japanese, Korean.
FORWARDS = (
    "fw", "fwd", "forward", "wg", "weitergeleitet", "tr", "transf", "rv", "enc", "encaminhado", "i", "inoltro", "doorst", "vs", "vl", "vb",
    "vid", "pd", "pd.", "przekaz", "ts", "přeposlané", "továbbítás", "tovabb", "ftd", "redir", "πρθ", "προ", "ilt", "i̇lt", "пересл", "переслано", "переадр", "转发", "轉寄",
    "转寄", "轉發", "転送", "전달",
)  # fmt: skip
# "vs" is a reply in Finnish and Danish ("vastaus", "svar") and a forward in Norwegian ("videresendt"): without other sign it is a reply.
AMBIGUOUS = frozenset({"vs", "i"})
MAX_SUBJECT_CHARACTERS = 200
_TAG = re.compile(r"\A\s*\[[^\]]{1,60}\]\s*")
_IN_BRACKETS = re.compile(r"\A\s*\[([^\W\d_][\w.̇]{0,14})\s*[:：]")  # [Fwd: x], as Mozilla wrote it
_PREFIX = re.compile(r"\A\s*([^\W\d_][\w.̇]{0,14})\s*(?:\[\d{1,3}\]|\(\d{1,3}\))?\s*[:：]")


def is_forward(subject: str) -> bool:
    """Whether the outermost prefix of a subject says that it was passed on; tags such as [INC-1042] before it are skipped.

    The one home of these prefixes: the parser asks it too (`intake.mail.forward`).
    """
    rest = subject[:MAX_SUBJECT_CHARACTERS].casefold()
    while not _says_forward(_IN_BRACKETS, rest) and (tag := _TAG.match(rest)) is not None:
        rest = rest[tag.end() :]
    return _says_forward(_IN_BRACKETS, rest) or _says_forward(_PREFIX, rest)


def _says_forward(pattern: re.Pattern[str], text: str) -> bool:
    found = pattern.match(text)
    return found is not None and found[1] in _KNOWN


_KNOWN = frozenset(each.casefold() for each in FORWARDS) - AMBIGUOUS
