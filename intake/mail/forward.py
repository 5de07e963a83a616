"""Forwarded mail: somebody passes on what another wrote, so it is a matter of its own even where it carries references (mail case 14)."""

import re

MAX_SUBJECT_CHARACTERS = 100
MAX_SCANNED_CHARACTERS = 65_536
MAX_LINES = 200
_PREFIX = re.compile(  # English, German, French, Spanish, Portuguese, Dutch, Swedish, Finnish, Polish, Hungarian, Turkish, Russian, Chinese
    r"\s{0,8}\[?(?:fwd?|wg|tr|rv|enc|doorst|vb|vl|pd|továbbítás|ilt|переслано|переадр|转发|轉寄|転送)\]?\s{0,2}[:：]", re.IGNORECASE
)
_RULES = "-_=*–—~>: ："
SEPARATORS = frozenset({
    "forwarded message", "weitergeleitete nachricht", "anfang der weitergeleiteten nachricht", "begin forwarded message", "message transféré",
    "mensaje reenviado", "doorgestuurd bericht", "messaggio inoltrato", "mensagem encaminhada", "wiadomość przekazana", "vidarebefordrat meddelande",
    "edelleenlähetetty viesti", "továbbított levél", "iletilen mesaj", "пересылаемое сообщение", "转发邮件", "轉寄郵件", "転送されたメッセージ", "début du message transféré",
})  # fmt: skip


def is_forward(subject: str, text: str) -> bool:
    """Whether the subject has a forward's prefix, or a forward's separator stands among the first 200 lines."""
    if _PREFIX.match(subject[:MAX_SUBJECT_CHARACTERS]):
        return True
    lines = text[:MAX_SCANNED_CHARACTERS].split("\n", MAX_LINES)[:MAX_LINES]
    return any(_separates(line.strip()) for line in lines)


def _separates(line: str) -> bool:
    if not 12 < len(line) <= 120:
        return False
    words = line.strip(_RULES)
    return len(words) < len(line) and words.casefold() in SEPARATORS
