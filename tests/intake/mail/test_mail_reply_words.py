"""The words the splitter knows, one by one, and its limits, exactly: a word that is lost would quote a stranger's mail as new words."""

import pytest

from intake.mail.reply import new_words

VERBS = [
    "wrote", "writes", "schrieb", "geschrieben", "schreef", "geschreven", "écrit", "escribió", "scritto", "skrev", "napisał",
    "napisała", "napisał(a)", "napisana", "pisze", "escreveu", "написал", "написала", "написал(а)", "пишет", "kirjoitti", "írta",
    "yazmış", "yazdı", "napsal", "napsala", "a scris", "写道", "寫道", "写信", "書きました", "のメール", "đã viết", "wrote the following",
]  # fmt: skip
SEPARATORS = [
    "original message", "ursprüngliche nachricht", "originalnachricht", "original-nachricht", "message d'origine", "message original",
    "mensaje original", "messaggio originale", "oorspronkelijk bericht", "oprindelig meddelelse", "ursprungligt meddelande",
    "wiadomość oryginalna", "mensagem original", "reply message", "forwarded message", "weitergeleitete nachricht",
    "anfang der weitergeleiteten nachricht", "begin forwarded message", "原始邮件", "原始郵件", "元のメッセージ", "исходное сообщение",
    "reply above this line", "message transféré", "mensaje reenviado", "original appointment", "opprinnelig melding",
    "alkuperäinen viesti", "původní zpráva", "eredeti üzenet", "mesaj original", "orijinal mesaj", "doorgestuurd bericht",
    "messaggio inoltrato", "please reply above this line",
]  # fmt: skip
FROM_WORDS = [
    "from", "von", "de", "da", "van", "fra", "från", "od", "发件人", "寄件者", "寄件人", "差出人", "от", "expéditeur", "lähettäjä", "feladó",
    "kimden", "message de", "보낸 사람",
]  # fmt: skip
HEADER_WORDS = [
    "sent", "date", "to", "subject", "cc", "gesendet", "datum", "an", "betreff", "envoyé", "à", "a", "objet", "sujet", "copie à",
    "enviado", "enviado el", "para", "asunto", "fecha", "inviato", "data", "oggetto", "verzonden", "aan", "onderwerp", "sendt", "til",
    "emne", "skickat", "till", "ämne", "wysłano", "do", "temat", "assunto", "发送时间", "收件人", "主题", "送信日時", "宛先", "件名", "日期", "寄件日期",
    "收件者", "主旨", "отправлено", "кому", "тема", "дата", "reply-to", "importance", "message du", "lähetetty", "vastaanottaja", "aihe",
    "dátum", "címzett", "tárgy", "kime", "konu", "tarih", "gönderilme", "odesláno", "komu", "předmět",
]  # fmt: skip
QUOTE = "We replaced the toner."


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_of_writing_ends_an_attribution_with_a_time(verb):
    assert new_words(f"It prints.\n\n2 Mar 2026 10:15 Help Desk {verb}:\n\n{QUOTE}") == "It prints."
    assert new_words(f"It prints.\n\n---- 2 Mar 2026 10:15 Help Desk {verb} ----\n\n{QUOTE}") == "It prints."
    assert new_words(f"It prints.\n\n2 Mar 2026 10:15 Help Desk {verb}\n\n{QUOTE}") == "It prints."


@pytest.mark.parametrize("words", SEPARATORS)
def test_words_between_rules_separate(words):
    assert new_words(f"It prints.\n\n-----{words.title()}-----\n{QUOTE}") == "It prints."
    assert new_words(f"It prints.\n{words}\n{QUOTE}") == f"It prints.\n{words}\n{QUOTE}"


@pytest.mark.parametrize("word", FROM_WORDS)
def test_a_pasted_header_has_a_from(word):
    assert new_words(f"It prints.\n\n{word.title()}: Help\nSubject: x\nDate: y\n\n{QUOTE}") == "It prints."


@pytest.mark.parametrize("word", HEADER_WORDS)
def test_a_pasted_header_has_three_fields(word):
    others = next(each for each in ("Subject", "Date") if each.lower() != word)
    assert new_words(f"It prints.\n\nFrom: Help\n{others}: x\n{word.title()}: y\n\n{QUOTE}") == "It prints."
    two = f"It prints.\n\n{others}: x\n{word.title()}: y\nPages: 3\n\n{QUOTE}"
    assert new_words(two) == two


def test_only_the_first_lines_of_a_text_are_looked_at():
    assert new_words("x\n" * 20_000 + "y").count("x") == 20_000
    assert new_words("x\n" * 20_001).count("x") == 20_000
    assert "y" not in new_words("x\n" * 20_000 + "y")


def test_an_attribution_takes_four_lines_at_most():
    four = "On Mon, 2 Mar 2026 10:15\nin the very\nearly morning Help\n<desk@example.org> wrote:"
    assert new_words(f"It prints.\n{four}\n{QUOTE}") == "It prints."
    five = "On Mon, 2 Mar 2026 10:15\nin the\nvery\nearly morning\nHelp Desk wrote:"
    assert new_words(f"It prints.\n{five}\n{QUOTE}") == f"It prints.\n{five}\n{QUOTE}"


def test_only_the_beginning_of_a_line_is_looked_at():
    assert new_words(f"It prints.\n2 Mar 2026 10:15 {'x' * 377} wrote:\n{QUOTE}") == "It prints."
    long = f"It prints.\n2 Mar 2026 10:15 {'x' * 378} wrote:\n{QUOTE}"
    assert new_words(long) == long


def test_a_pasted_header_is_looked_for_in_ten_lines():
    between = "X-Y: z\n" * 7
    assert new_words(f"It prints.\nFrom: a\n{between}To: b\nDate: c\n{QUOTE}") == "It prints."
    long = f"It prints.\nFrom: a\n{between}X-Y: z\nTo: b\nDate: c\n{QUOTE}"
    assert new_words(long) == long


def test_a_quoted_line_that_may_have_been_wrapped_has_sixty_characters():
    wrapped = f"It prints.\n\n> {'q' * 58}\nrest of it\n> more"
    assert new_words(wrapped) == "It prints."
    short = f"It prints.\n\n> {'q' * 57}\nan answer\n> more"
    assert new_words(short) == "It prints.\n\nan answer"


@pytest.mark.parametrize(("length", "left_out"), [(119, True), (120, False)])
def test_a_line_of_a_phone_is_shorter_than_120_characters(length, left_out):
    line = f"Gesendet von {'y' * 38} Smartphone {'z' * (length - 63)}"
    assert len(line) == length
    assert (new_words(f"It prints.\n\n{line}") == "It prints.") == left_out


SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{}\n-----BEGIN PGP SIGNATURE-----\n\nabcd\n-----END PGP SIGNATURE-----\n"


def test_the_words_of_an_inline_signature_are_read_without_its_armour():
    body = "- From here on\nit prints.\n\n- -----x-----\nthe end"
    words = "From here on\nit prints.\n\n-----x-----\nthe end"
    assert new_words(SIGNED.format(body)) == words
    assert new_words("\n" + SIGNED.format(body)) == words
    assert new_words(SIGNED.format(body) + SIGNED.format("another")) == words
    about = "I got -----BEGIN PGP SIGNED MESSAGE-----\n\nwhat is it?"
    assert new_words(about) == about


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # a separator above all words separates nothing
        ("-----Original Message-----\nhello\n> q\nanswer", "-----Original Message-----\nhello\nanswer"),
        # an attribution between two quotes does not end what is new
        ("Hi\n> a\nmiddle\nOn 2 Mar 2026, x@y.example wrote:\n> q\nanswer", "Hi\nmiddle\nanswer"),
        # one of two lines at the top is left out whole, with or without marks below it
        ("On Mon, 2 Mar 2026 at 10:15, Help Desk\n<desk@example.org> wrote:\n> q\nanswer", "answer"),
        ("On Mon, 2 Mar 2026 at 10:15, Help Desk\n<desk@example.org> wrote:\nanswer", "answer"),
        # a sentence that goes on is no attribution
        ("Hi\nOn 2 Mar 2026 at 10:15 she wrote me a note\nand so on", "Hi\nOn 2 Mar 2026 at 10:15 she wrote me a note\nand so on"),
        # a line after a long quoted one is new words unless the quote goes on below it
        (f"Hi\n> {'q' * 70}\nrest", "Hi\nrest"),
        (f"Hi\n> {'q' * 70}\nrest\nmore", "Hi\nrest\nmore"),
        (f"Hi\n> {'q' * 70}\n\n> q\nrest", "Hi\n\nrest"),
        (f"Hi\n> {'q' * 70}\nrest\n> q\nmore", "Hi\nmore"),
        (f"Hi\n> {'q' * 70}\nrest of <it>\n> q\nnew", "Hi\nnew"),
        (f"Hi\n> {'q' * 70}\nrest\n> {'q' * 70}\nrest\n> q\nnew", "Hi\nnew"),
        ("Hi\n2 March 2026 Help Desk wrote:\nwords", "Hi"),
        # header blocks: three different fields, one of them a From, a blank only after the first
        ("Hi\nFrom: a\nTo: b\nTo: c\nwords", "Hi\nFrom: a\nTo: b\nTo: c\nwords"),
        ("Hi\nTo: a\nDate: b\nSubject: c\nwords", "Hi\nTo: a\nDate: b\nSubject: c\nwords"),
        ("Hi\nFrom: a\nTo: b\n\nDate: c\nwords", "Hi\nFrom: a\nTo: b\n\nDate: c\nwords"),
        ("Hi\nFrom: a\n\nTo: b\nDate: c\nwords", "Hi"),
        ("Hi\nPages: 3\nFrom: a\nTo: b\nwords", "Hi\nPages: 3\nFrom: a\nTo: b\nwords"),
        ("Hi\nDate: a\nTo: b\nFrom: c\nwords", "Hi"),
        ("Hi\n发件人：a\n收件人：b\n主题：c\nwords", "Hi"),
        ("Hi\n*De\u00a0:* a\n*À\u00a0:* b\n*Objet\u00a0:* c\nwords", "Hi"),
        ("Hi\n__From__: a\n__To__: b\n__Date__: c\nwords", "Hi"),
        ("Hi\nFrom: a : b\nTo: c : d\nDate: e : f\nwords", "Hi"),
        ("Hi\nFrom a\nTo b\nDate c\nwords", "Hi\nFrom a\nTo b\nDate c\nwords"),
        # an attribution without a time needs an address or a quote right below it
        ("Hi\nHelp Desk wrote:\n> q", "Hi"),
        ("Hi\nHelp Desk wrote:\n\n> q\nanswer", "Hi\n\nanswer"),
        ("Hi\nHelp Desk wrote:\n\n\n> q\nanswer", "Hi\nHelp Desk wrote:\n\n\nanswer"),
        ("Hi\nHelp Desk <desk@example.org> wrote:\nwords", "Hi"),
        ("Hi\nHelp Desk wrote:\nwords", "Hi\nHelp Desk wrote:\nwords"),
        ("Hi\n---- Help Desk <desk@example.org> wrote ----\nwords", "Hi"),
        ("Hi\n2 Mar 2026 somebody thought:\nwords", "Hi\n2 Mar 2026 somebody thought:\nwords"),
        # one without a verb has time and address, and ends in the address
        ("Hi\n2 Mar 2026 10:15 Help Desk <desk@example.org>:\nwords", "Hi"),
        ("Hi\n2 Mar 2026 10:15 Help Desk <desk@example.org>：\nwords", "Hi"),
        ("Hi\n2 Mar 2026 10:15 <desk@example.org> says:\nwords", "Hi\n2 Mar 2026 10:15 <desk@example.org> says:\nwords"),
        ("Hi\nOn the desk <desk@example.org>:\nwords", "Hi\nOn the desk <desk@example.org>:\nwords"),
        # an attribution does not begin above a blank line or a quote
        ("On 2 Mar 2026\n\nHelp Desk wrote:\nwords", "On 2 Mar 2026\n\nHelp Desk wrote:\nwords"),
        # a signature is below words, and rules at the end go
        ("--\nAna", "--\nAna"),
        ("Hi\n-- \nAna\n-- \nThird floor", "Hi"),
        ("Hi\n\n-----\n*****\n", "Hi"),
        ("Hi\n-----\nAna", "Hi\n-----\nAna"),
        ("Sent from my iPhone\nHi", "Sent from my iPhone\nHi"),
        ("Hi\n从我的 iPhone 发送", "Hi"),
        ("Hi\niPhoneから送信", "Hi"),
        ("Hi\n发自我的手机", "Hi"),
        ("Hi\nPobierz aplikację Outlook", "Hi"),
        ("Hi\nСкачать Outlook для iOS", "Hi"),
    ],
)  # fmt: skip
def test_it_is_cut_here_and_nowhere_else(text, words):
    assert new_words(text) == words
