"""New words only: a splitter of reply, quotes and signature, linear in the lines, that never cuts to nothing (mail 34, 35)."""

import re

MAX_LINES = 20_000
MAX_ATTRIBUTION_LINES = 4
MAX_LOOKED_AT = 400  # characters of a line
MAX_HEADER_LINES = 10
WRAPPED_CHARACTERS = 60  # a quoted line as long as this was wrapped by the sender's program, and may go on without its mark
_VERBS = (
    "wrote", "writes", "schrieb", "geschrieben", "schreef", "geschreven", "écrit", "escribió", "scritto", "skrev", "napisał", "napisała", "napisał(a)", "napisana", "pisze", "escreveu",
    "написал", "написала", "написал(а)", "пишет", "kirjoitti", "írta", "yazmış", "yazdı", "napsal", "napsala", "a scris", "写道", "寫道", "写信", "書きました", "のメール", "đã viết", "wrote the following",
)  # fmt: skip
_START = re.compile(
    r"[>\s*\-]{0,8}(?:(?:On|Am|Le|El|Il|Op|Den|W dniu|Dnia|Em|No dia|På|Ut|Pe|Vào|A|Wiadomość napisana)\b|在|\d{4}[-/年.]|\d{1,2}[./-]\d|\d{1,2}\.? \w|\w{2,12}[.,]{0,2} \d|\w{2,12}, \w)",
    re.IGNORECASE,
)
_TIME = re.compile(r"\d{1,2}[:.]\d{2}|\d{4}")
_SEPARATORS = frozenset({
    "original message", "ursprüngliche nachricht", "originalnachricht", "original-nachricht", "message d'origine", "message original", "mensaje original",
    "messaggio originale", "oorspronkelijk bericht", "oprindelig meddelelse", "ursprungligt meddelande", "wiadomość oryginalna", "mensagem original", "reply message",
    "forwarded message", "weitergeleitete nachricht", "anfang der weitergeleiteten nachricht", "begin forwarded message", "原始邮件", "原始郵件", "元のメッセージ",
    "исходное сообщение", "reply above this line", "message transféré", "mensaje reenviado", "original appointment", "opprinnelig melding", "alkuperäinen viesti",
    "původní zpráva", "eredeti üzenet", "mesaj original", "orijinal mesaj", "doorgestuurd bericht", "messaggio inoltrato", "please reply above this line",
})  # fmt: skip
_FROM_WORDS = frozenset({
    "from", "von", "de", "da", "van", "fra", "från", "od", "发件人", "寄件者", "寄件人", "差出人", "от", "expéditeur", "lähettäjä", "feladó", "kimden", "message de", "보낸 사람",
})  # fmt: skip
_HEADER_WORDS = _FROM_WORDS | {
    "sent", "date", "to", "subject", "cc", "gesendet", "datum", "an", "betreff", "envoyé", "à", "a", "objet", "sujet", "copie à", "enviado", "enviado el", "para",
    "asunto", "fecha", "inviato", "data", "oggetto", "verzonden", "aan", "onderwerp", "sendt", "til", "emne", "skickat", "till", "ämne", "wysłano", "do", "temat",
    "assunto", "发送时间", "收件人", "主题", "送信日時", "宛先", "件名", "日期", "寄件日期", "收件者", "主旨", "отправлено", "кому", "тема", "дата", "reply-to", "importance",
    "message du", "lähetetty", "vastaanottaja", "aihe", "dátum", "címzett", "tárgy", "kime", "konu", "tarih", "gönderilme", "odesláno", "komu", "předmět",
}  # fmt: skip
_SIGNATURE = re.compile(
    r"(?:Sent from|Get|Gesendet (?:von|mit|aus)|Von meine[mr]|Holen Sie sich|Outlook voor|Envoyé (?:de|depuis|à partir)|Enviado (?:desde|do|de)|Inviato da|(?:Verzonden|Verstuurd) (?:vanaf|met|van)|Skaffa|Hent|Pobierz|Scarica|Obter|Obtenga|Скачать|"
    r"Skickat från|Sendt fra|Wysłane? z|Lähetetty|Отправлено (?:из|с)|Télécharger|Obtenir|Obtener)\b.{0,40}\b"
    r"(?:iPhone|iPad|Android|Samsung|Galaxy|Outlook|BlackBerry|Yahoo|Mobile|Handy|Smartphone|Mail|phone|iOS|Huawei|Windows|ProtonMail|Gmail|mobil|téléphone|Telefon|móvil|wireless)"
    r".{0,60}\Z",
    re.IGNORECASE,
)
_SIGNATURE_OF_THE_EAST = re.compile(  # no blanks between the words
    r"(?:发自|發自|来自|來自|从我的|從我的|获取|下载|取得).{0,20}(?:iPhone|iPad|Android|Outlook|手机|手機|邮箱|郵箱).{0,20}\Z|(?:iPhone|iPad|Android|Outlook).{0,14}(?:から送信|を入手).{0,10}\Z",
    re.IGNORECASE,
)
_SIGNATURE_STARTS = frozenset(  # of two letters: nearly every line is told by them
    ("se", "ge", "vo", "ho", "ou", "en", "in", "ve", "sk", "he", "po", "sc", "ob", "ск", "wy", "lä", "от", "té")
)
_SIGNATURE_STARTS_OF_THE_EAST = frozenset("发發来來从從获下取iAO")
_PGP_SIGNED, _PGP_SIGNATURE = "-----BEGIN PGP SIGNED MESSAGE-----", "-----BEGIN PGP SIGNATURE-----"
MAX_SIGNATURE_CHARACTERS = 120
_RULES = "-_=*–—~ "
_RULES_AND_COLONS = frozenset(_RULES + ":：")
_VERBS_END = frozenset(each[-1] for each in _VERBS)
_TELLING_STARTS = _RULES_AND_COLONS | {">"}  # a line with neither of these and no colon is only words: nearly every line is
_TELLING_ENDS = _RULES_AND_COLONS | _VERBS_END


def new_words(text: str) -> str:
    """The text without what it quotes and without its signature; all of it when nothing would be left."""
    lines = _unsigned(text).split("\n", MAX_LINES)[:MAX_LINES]
    stripped = [line[:MAX_LOOKED_AT].strip() for line in lines]
    kept = _without_signature(_unquoted(lines, stripped))
    return "\n".join(kept).strip() or text.strip()


def _unsigned(text: str) -> str:
    """The words inside of an inline PGP signature (RFC 9580 7), with its dash-escapes undone; any other text as it is."""
    if not text.lstrip().startswith(_PGP_SIGNED):
        return text
    body = text.partition("\n\n")[2].partition("\n" + _PGP_SIGNATURE)[0]
    return ("\n" + body).replace("\n- ", "\n")[1:]


def _unquoted(lines: list[str], stripped: list[str]) -> list[str]:
    """The lines above, between and below what is quoted."""
    out: list[str] = []
    worded = 0  # lines of `out` that say something
    last_quote: int | None = None
    at, size = 0, len(lines)
    while at < size:
        line = stripped[at]
        if not line or not (line[0] in _TELLING_STARTS or line[-1] in _TELLING_ENDS or _has_colon(line)):
            out.append(lines[at])
            worded += bool(line)
            at += 1
            continue
        if line[0] == ">":
            at = _after_quote(stripped, at)
            continue
        if worded and (_is_separator(line) or _is_header_block(stripped, at)):
            break  # all below it is quoted
        if _ends_attribution(line) and (length := _attribution_length(stripped, at)):
            del out[max(0, len(out) - length + 1) :]
            worded = max(0, worded - length + 1)
            if last_quote is None:
                last_quote = max((place for place, each in enumerate(stripped) if each[:1] == ">"), default=-1)
            if worded and last_quote < at:
                break  # the quote has no marks
        else:
            out.append(lines[at])
            worded += line[0] not in _RULES or bool(line.strip(_RULES))
        at += 1
    return out


def _has_colon(line: str) -> bool:
    """Where a field of a pasted header has one; the wide one is of the East."""
    return ":" in line[:40] or "：" in line[:40]


def _after_quote(stripped: list[str], at: int) -> int:
    """Past a quoted line, and past one line of it that a program wrapped without a mark."""
    alone = at + 2 < len(stripped) and stripped[at + 1] and not stripped[at + 1].startswith(">") and stripped[at + 2].startswith(">")
    return at + 2 if alone and len(stripped[at]) >= WRAPPED_CHARACTERS else at + 1


def _is_separator(line: str) -> bool:
    """`-----Original Message-----` in many languages: the words alone are no separator."""
    if line[0] not in _RULES_AND_COLONS and line[-1] not in _RULES_AND_COLONS:  # nearly every line
        return False
    return line.strip(_RULES + ":：").casefold() in _SEPARATORS


def _is_header_block(stripped: list[str], at: int) -> bool:
    """A pasted header, as Outlook writes it: three known fields in neighbouring lines, one of them a From."""
    if not _has_colon(stripped[at]):
        return False
    words = [_word(stripped[at])]
    if words[0] not in _HEADER_WORDS:
        return False
    for line in stripped[at + 1 : at + MAX_HEADER_LINES]:
        if not line and len(words) > 1:
            break
        word = _word(line)
        if word in _HEADER_WORDS:
            words.append(word)
    return len(set(words)) >= 3 and any(word in _FROM_WORDS for word in words)


def _word(line: str) -> str:
    head, colon, _ = line[:60].lstrip("*>_ ").replace("：", ":").partition(":")
    return head.strip("*_ \u00a0").casefold() if colon else ""


def _ends_attribution(line: str) -> bool:
    """Whether a line may be the last of `On ... <a@b> wrote:`; cheap, because it is asked for every line."""
    last = line[-1]
    return last in ":：" or (last in "-–—" and line.rstrip(_RULES).endswith(_VERBS)) or (last in _VERBS_END and line.endswith(_VERBS))


def _attribution_length(stripped: list[str], at: int) -> int:
    """How many lines the attribution takes that ends here, 0 when it is none."""
    for length in range(1, MAX_ATTRIBUTION_LINES + 1):
        first = at - length + 1
        if first < 0 or not stripped[first] or stripped[first].startswith(">"):
            break
        if _START.match(stripped[first]) and _is_attribution(" ".join(stripped[first : at + 1])):
            return length
    alone = stripped[at]
    quoted = next((line for line in stripped[at + 1 : at + 3] if line), "").startswith(">")
    if not (quoted or "@" in alone) or not alone.rstrip(_RULES + ":：").endswith(_VERBS):
        return 0
    return 2 if at and stripped[at - 1].endswith("<") else 1  # a program broke the line before the address


def _is_attribution(text: str) -> bool:
    """A time or an address, and a verb of writing; the verb may be missing where time and address are both there."""
    folded = text.casefold()
    has_time, has_address = _TIME.search(text) is not None, "@" in text
    if any(verb in folded for verb in _VERBS):
        return has_time or has_address
    return has_time and has_address and folded.endswith((">:", ">："))


def _without_signature(lines: list[str]) -> list[str]:
    """Up to the signature: `-- ` (RFC 3676 4.3) or what a phone adds; and without rules that stood before a quote."""
    end = len(lines)
    worded = False
    for at, line in enumerate(lines):
        text = line.strip()
        if worded and text and _is_signature(text):
            end = at
            break
        worded = worded or bool(text)
    while end and not lines[end - 1].strip(_RULES):
        end -= 1
    return lines[:end]


def _is_signature(text: str) -> bool:
    if len(text) >= MAX_SIGNATURE_CHARACTERS:
        return False
    if text[:2].casefold() in _SIGNATURE_STARTS and _SIGNATURE.match(text) is not None:
        return True
    if text[0] in _SIGNATURE_STARTS_OF_THE_EAST and _SIGNATURE_OF_THE_EAST.match(text) is not None:
        return True
    return text in ("--", "—", "–")
