"""Forwarded mail: somebody passes on what another wrote, so it is a matter of its own even where it carries references (mail case 14)."""

from rules.forwarding import is_forward as is_forwarded_subject

MAX_SCANNED_CHARACTERS = 65_536
MAX_LINES = 200
_RULES = "-_=*–—~>: ："
SEPARATORS = frozenset({
    "forwarded message", "weitergeleitete nachricht", "anfang der weitergeleiteten nachricht", "begin forwarded message", "message transféré",
    "mensaje reenviado", "doorgestuurd bericht", "messaggio inoltrato", "mensagem encaminhada", "wiadomość przekazana", "vidarebefordrat meddelande",
    "edelleenlähetetty viesti", "továbbított levél", "iletilen mesaj", "пересылаемое сообщение", "转发邮件", "轉寄郵件", "転送されたメッセージ", "début du message transféré",
})  # fmt: skip


def is_forward(subject: str, text: str) -> bool:
    """Whether the subject has a forward's prefix, or a forward's separator stands among the first 200 lines."""
    if is_forwarded_subject(subject):
        return True
    lines = text[:MAX_SCANNED_CHARACTERS].split("\n", MAX_LINES)[:MAX_LINES]
    return any(_separates(line) for line in map(str.strip, lines) if line and (line[0] in _RULES or line[-1] in _RULES))


def _separates(line: str) -> bool:
    """Whether the words between rules are a forward's."""
    if not 12 < len(line) <= 120:
        return False
    words = line.strip(_RULES)
    return len(words) < len(line) and words.casefold() in SEPARATORS
