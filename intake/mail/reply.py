"""New words only: a linear splitter of reply, quotes and signature that never cuts to nothing (mail 34, 35)."""

import re

MAX_LINES = 20_000
MAX_ATTRIBUTION_LINES = 4
_ATTRIBUTION_START = re.compile(
    r"^(?:>?\s?)(?:On\b|Am\b|Le\b|El\b|Il\b|Op\b|Den\b|W dniu\b|Em\b|På\b|Dnia\b|Ut\b|Pe\b|Vào\b|em\b|Am \w|\d{4}[-/年.]|[A-ZÅÄÖ]\w{1,8},? \d|On:|"
    r"\w{2,4}[.,] \d|-{0,3} ?On )",
)
_ATTRIBUTION_END = re.compile(
    r"(?:wrote|writes|schrieb|geschrieben|a écrit|écrit|escribió|ha scritto|scritto|schreef|skrev|napisał(?:\(a\))?|escreveu|написал|пишет|kirjoitti|"
    r"írta|yazmış|napsal|a scris|写道|寫道|写信|さんは書きました|đã viết|wrote the following)[^\w\n]{0,3}(?:\(.{0,40}\))?\s*[:：]?\s*$",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(
    r"^\s*(?:[-_=*]{2,}\s*)?(?:original message|ursprüngliche nachricht|originalnachricht|message d'origine|message original|mensaje original|messaggio originale|"
    r"oorspronkelijk bericht|original meddelelse|oprindelig meddelelse|ursprungligt meddelande|wiadomość oryginalna|mensagem original|reply message|"
    r"forwarded message|weitergeleitete nachricht|原始邮件|原始郵件|元のメッセージ|исходное сообщение|reply above this line|reply to this email directly)(?:\s*[-_=*:]{1,})?\s*.{0,3}$",
    re.IGNORECASE,
)
_HEADER_WORDS = {  # first words of a pasted header block, in lower case, without the colon
    "from", "von", "de", "da", "van", "fra", "från", "od", "发件人", "寄件者", "差出人", "от", "expéditeur", "lähettäjä", "feladó", "kimden", "gesendet von",
}  # fmt: skip
_HEADER_NEXT = {
    "sent", "date", "to", "subject", "gesendet", "datum", "an", "betreff", "envoyé", "à", "objet", "enviado", "para", "asunto", "fecha", "inviato", "data", "a",
    "oggetto", "verzonden", "aan", "onderwerp", "sendt", "til", "emne", "skickat", "till", "ämne", "wysłano", "do", "temat", "assunto", "cc", "发送时间", "收件人",
    "主题", "送信日時", "宛先", "件名", "日期", "寄件日期", "收件者", "主旨", "отправлено", "кому", "тема", "дата", "reply-to", "organization", "importance",
}  # fmt: skip
_SIGNATURE = re.compile(
    r"^(?:--|—|– ?)\s*$|^_{5,}\s*$|^-{5,}\s*$|^(?:Sent|Gesendet|Von meinem|Envoyé|Enviado|Inviato|Verzonden|Skickat|Sendt|Wysłano|Get Outlook|Holen Sie sich Outlook)"
    r"(?: (?:from|by|with|via|de|depuis|desde|da|vanaf|van|från|fra|z|mit|von|mobil|aus|for)\b.{0,80}|\s+mobil.{0,40}|.{0,20}iPhone.{0,30})$",
    re.IGNORECASE,
)


def new_words(text: str) -> str:
    """The text without what it quotes and without its signature; all of it when nothing would be left."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:MAX_LINES]
    end = _quoted_from(lines)
    head = [line for line in lines[:end] if not _quoted(line)]
    tail = _below(lines, end)
    kept = _without_signature(_trimmed(head))
    if not "".join(kept).strip():
        kept = _without_signature(_trimmed(tail))
    result = "\n".join(kept).strip()
    return result or "\n".join(line for line in lines if not _quoted(line)).strip() or text.strip()


def _quoted(line: str) -> bool:
    return line.lstrip().startswith(">")


def _quoted_from(lines: list[str]) -> int:
    """The line where what is quoted begins and nothing new follows; the length when there is none."""
    for at, line in enumerate(lines):
        stripped = line.strip()
        if not stripped:
            continue
        if _SEPARATOR.match(stripped) or _header_block(lines, at) or (_attribution(lines, at) and not _answered_below(lines, at)):
            return at
    return len(lines)


def _attribution(lines: list[str], at: int) -> int:
    """How many lines an attribution takes that begins here, 0 when none does: `On ... <a@b> wrote:`."""
    if not _ATTRIBUTION_START.match(lines[at].strip()[:60]) and not _ATTRIBUTION_END.search(lines[at].strip()[-60:]):
        return 0
    for more in range(MAX_ATTRIBUTION_LINES):
        if at + more >= len(lines) or (more and not lines[at + more].strip()):
            return 0
        if _ATTRIBUTION_END.search(lines[at + more].strip()[-80:]):
            together = " ".join(line.strip() for line in lines[at : at + more + 1])
            return more + 1 if any(sign in together for sign in ("@", "<", "20", "19", ":")) else 0
    return 0


def _answered_below(lines: list[str], at: int) -> bool:
    """Whether new words stand below quoted lines: then the attribution is no end, only a line to leave out."""
    rest = lines[at + _attribution(lines, at) :]
    quoted = next((index for index, line in enumerate(rest) if _quoted(line)), None)
    if quoted is None:
        return False
    after = [line for line in rest[quoted:] if line.strip() and not _quoted(line)]
    body = _without_signature(after)
    return bool(body) and not any(_SEPARATOR.match(line.strip()) for line in body[:1])


def _below(lines: list[str], end: int) -> list[str]:
    """New words below what is quoted."""
    out: list[str] = []
    skip = 0
    for at in range(end, len(lines)):
        if skip:
            skip -= 1
            continue
        taken = _attribution(lines, at) if lines[at].strip() else 0
        if taken:
            skip = taken - 1
            continue
        if not _quoted(lines[at]) and not _SEPARATOR.match(lines[at].strip()):
            out.append(lines[at])
    return out


def _header_block(lines: list[str], at: int) -> bool:
    """A pasted header, as Outlook writes it: a From line and at least one other field in the next lines."""
    if _word(lines[at]) not in _HEADER_WORDS:
        return False
    near = [_word(line) for line in lines[at + 1 : at + 7] if line.strip()]
    return sum(word in _HEADER_NEXT for word in near[:4]) >= 2 or (len(near) > 0 and near[0] in ("sent", "gesendet", "envoyé", "enviado", "verzonden"))


def _word(line: str) -> str:
    head, colon, _ = line.strip().lstrip("*> ").replace("：", ":").partition(":")
    return head.strip("* \u00a0").casefold() if colon and len(head) <= 24 else ""


def _trimmed(lines: list[str]) -> list[str]:
    """The lines without attributions that stand between answers."""
    out: list[str] = []
    at = 0
    while at < len(lines):
        taken = _attribution(lines, at) if lines[at].strip() else 0
        if taken:
            at += taken
            continue
        out.append(lines[at])
        at += 1
    return out


def _without_signature(lines: list[str]) -> list[str]:
    for at, line in enumerate(lines):
        if _SIGNATURE.match(line.strip()) and any(each.strip() for each in lines[:at]):
            return lines[:at]
    return lines
