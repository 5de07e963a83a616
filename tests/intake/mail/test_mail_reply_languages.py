"""New words by language and program: ten European languages, Chinese and Japanese; Gmail, Apple Mail, Thunderbird, Outlook, telephones.

And the work of it: what patterns look at grows with the text, whichever pattern the text is made of (A32).
"""

import re
from collections.abc import Callable, Iterator

import pytest

from intake.mail import reply
from intake.mail.reply import new_words

WORDS = "It prints again.\nThank you!"
QUOTED = ["We replaced the toner.", "Is it fine now?"]
BARE, MARKED = "\n".join(QUOTED), "\n".join(f"> {line}" for line in QUOTED)
# Language: attributions of Gmail, Apple Mail and Thunderbird; the words of Outlook's header block; what a telephone adds, and Outlook on it; "original message".
H = "Help Desk <desk@example.org>"
LANGUAGES = {
    "English": (
        f"On Mon, Mar 2, 2026 at 10:15 AM {H} wrote:", "On 2 Mar 2026, at 10:15, Help Desk <desk@example.org> wrote:", "On 02/03/2026 10:15, Help Desk wrote:",
        ("From", "Sent", "To", "Subject"), "Sent from my iPhone", "Original Message",
    ),
    "German": (
        f"Am Mo., 2. März 2026 um 10:15 Uhr schrieb {H}:", f"Am 02.03.2026 um 10:15 schrieb {H}:", "Am 02.03.26 um 10:15 schrieb Help Desk:",
        ("Von", "Gesendet", "An", "Betreff"), "Von meinem iPhone gesendet", "Ursprüngliche Nachricht",
    ),
    "French": (
        f"Le lun. 2 mars 2026 à 10:15, {H} a écrit :", f"Le 2 mars 2026 à 10:15, {H} a écrit :", "Le 02/03/2026 à 10:15, Help Desk a écrit :",
        ("De", "Envoyé", "À", "Objet"), "Envoyé de mon iPhone", "Message d'origine",
    ),
    "Spanish": (
        "El lun, 2 mar 2026 a las 10:15, Help Desk (<desk@example.org>) escribió:", f"El 2 mar 2026, a las 10:15, {H} escribió:", "El 02/03/2026 a las 10:15, Help Desk escribió:",
        ("De", "Enviado", "Para", "Asunto"), "Enviado desde mi iPhone", "Mensaje original",
    ),
    "Italian": (
        f"Il giorno lun 2 mar 2026 alle ore 10:15 {H} ha scritto:", f"Il giorno 2 mar 2026, alle ore 10:15, {H} ha scritto:", "Il 02/03/2026 10:15, Help Desk ha scritto:",
        ("Da", "Inviato", "A", "Oggetto"), "Inviato da iPhone", "Messaggio originale",
    ),
    "Portuguese": (
        f"Em seg., 2 de mar. de 2026 às 10:15, {H} escreveu:", f"No dia 02/03/2026, às 10:15, {H} escreveu:", "Em 02/03/2026 10:15, Help Desk escreveu:",
        ("De", "Enviado", "Para", "Assunto"), "Enviado do meu iPhone", "Mensagem original",
    ),
    "Dutch": (
        f"Op ma 2 mrt 2026 om 10:15 schreef {H}:", f"Op 2 mrt 2026, om 10:15 heeft {H} het volgende geschreven:", "Op 02-03-2026 om 10:15 schreef Help Desk:",
        ("Van", "Verzonden", "Aan", "Onderwerp"), "Verstuurd vanaf mijn iPhone", "Oorspronkelijk bericht",
    ),
    "Swedish": (
        f"Den mån 2 mars 2026 kl 10:15 skrev {H}:", f"2 mars 2026 kl. 10:15 skrev {H}:", "Den 2026-03-02 kl. 10:15, skrev Help Desk:",
        ("Från", "Skickat", "Till", "Ämne"), "Skickat från min iPhone", "Ursprungligt meddelande",
    ),
    "Danish": (
        f"Den man. 2. mar. 2026 kl. 10.15 skrev {H}:", f"Den 2. mar. 2026 kl. 10.15 skrev {H}:", "Den 02.03.2026 kl. 10.15 skrev Help Desk:",
        ("Fra", "Sendt", "Til", "Emne"), "Sendt fra min iPhone", "Oprindelig meddelelse",
    ),
    "Polish": (
        f"pon., 2 mar 2026 o 10:15 {H} napisał(a):", f"Wiadomość napisana przez {H} w dniu 2 mar 2026, o godz. 10:15:", "W dniu 02.03.2026 o 10:15, Help Desk pisze:",
        ("Od", "Wysłano", "Do", "Temat"), "Wysłane z iPhone'a", "Wiadomość oryginalna",
    ),
    "Russian": (
        f"пн, 2 мар. 2026 г. в 10:15, {H}:", f"2 марта 2026 г., в 10:15, {H} написал(а):", "02.03.2026 10:15, Help Desk пишет:",
        ("От", "Отправлено", "Кому", "Тема"), "Отправлено с iPhone", "Исходное сообщение",
    ),
    "Chinese": (
        f"{H} 于2026年3月2日周一 10:15写道：", f"在 2026年3月2日，10:15，{H} 写道：", "在 2026/3/2 10:15, Help Desk 写道:",
        ("发件人", "发送时间", "收件人", "主题"), "发自我的 iPhone", "原始邮件",
    ),
    "Japanese": (
        f"2026年3月2日(月) 10:15 {H}:", f"2026/03/02 10:15、{H}のメール:", "On 2026/03/02 10:15, Help Desk wrote:",
        ("差出人", "送信日時", "宛先", "件名"), "iPhoneから送信", "元のメッセージ",
    ),
}  # fmt: skip
OUTLOOK_ON_A_TELEPHONE = {
    "English": "Get Outlook for iOS", "German": "Holen Sie sich Outlook für iOS", "French": "Obtenir Outlook pour iOS", "Spanish": "Obtenga Outlook para iOS",
    "Italian": "Scarica Outlook per iOS", "Portuguese": "Obter o Outlook para iOS", "Dutch": "Outlook voor iOS downloaden", "Swedish": "Skaffa Outlook för iOS",
    "Danish": "Hent Outlook til iOS", "Polish": "Pobierz aplikację Outlook dla systemu iOS", "Russian": "Скачать Outlook для iOS", "Chinese": "获取 Outlook for iOS",
    "Japanese": "Outlook for iOS を入手",
}  # fmt: skip


def colon_of(language: str) -> str:
    return {"French": " :", "Chinese": "："}.get(language, ":")


def block(language: str, *, bold: bool = False) -> str:
    """The header that Outlook pastes before what it quotes."""
    values = ["Help Desk <desk@example.org>", "2026-03-02 10:15", "Ana Example", "Printer"]
    names = [f"{word}{colon_of(language)}" for word in LANGUAGES[language][3]]
    return "\n".join(f"*{name}* {value}" if bold else f"{name} {value}" for name, value in zip(names, values, strict=True))


def wrapped(attribution: str) -> str:
    """As programs break it before the address."""
    return attribution.replace("<", "<\n", 1)


FORMS: dict[str, Callable[[str], str]] = {
    "Gmail": lambda language: f"{LANGUAGES[language][0]}\n\n{MARKED}",
    "Gmail, wrapped": lambda language: f"{wrapped(LANGUAGES[language][0])}\n\n{MARKED}",
    "Gmail, from HTML": lambda language: f"{LANGUAGES[language][0]}\n\n{BARE}",
    "Gmail, wrapped, from HTML": lambda language: f"{wrapped(LANGUAGES[language][0])}\n\n{BARE}",
    "Apple Mail": lambda language: f"{LANGUAGES[language][1]}\n\n{MARKED}",
    "Apple Mail, from HTML": lambda language: f"{LANGUAGES[language][1]}\n\n{BARE}",
    "Thunderbird": lambda language: f"{LANGUAGES[language][2]}\n{MARKED}",
    "Thunderbird, from HTML": lambda language: f"{LANGUAGES[language][2]}\n\n{BARE}",
    "Outlook": lambda language: f"{block(language)}\n\n{BARE}",
    "Outlook with its rule": lambda language: f"{'_' * 32}\n{block(language)}\n\n{BARE}",
    "Outlook, from HTML": lambda language: f"{block(language, bold=True)}\n\n{BARE}",
    "Outlook Express": lambda language: f"-----{LANGUAGES[language][5]}-----\n{block(language)}\n\n{BARE}",
    "a telephone": lambda language: LANGUAGES[language][4],
    "a telephone that quotes": lambda language: f"{LANGUAGES[language][4]}\n\n{LANGUAGES[language][1]}\n\n{MARKED}",
    "a telephone of Samsung": lambda language: f"{LANGUAGES[language][4]}\n\n-------- {LANGUAGES[language][5]} --------\n{block(language)}\n\n{BARE}",
    "Outlook on a telephone": lambda language: f"{OUTLOOK_ON_A_TELEPHONE[language]}\n{'_' * 32}\n{block(language)}\n\n{BARE}",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_program_quotes_in_a_language_is_left_out(language: str, form: str) -> None:
    assert new_words(f"{WORDS}\n\n{FORMS[form](language)}\n") == WORDS


@pytest.mark.parametrize("form", [form for form in FORMS if "telephone" not in form and "Outlook" not in form and "HTML" not in form])
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_below_the_quote_is_kept_in_every_language(language: str, form: str) -> None:
    assert new_words(f"{FORMS[form](language)}\n\n{WORDS}\n") == WORDS


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_that_only_quotes_is_kept(language: str, form: str) -> None:
    assert new_words(FORMS[form](language)).strip()


@pytest.mark.parametrize(
    "text",
    [
        "Op kantoor werkt de printer niet:\nrode lamp", "发自内心的感谢", "在 3 楼打印机坏了：\n红灯", "iPhone の画面が割れました", "Am Montag ging es:\ngrün", "Pobierz plik z serwera",
        "Le 2 mars, rien ne marche :\nécran noir", "Hent mig venligst en ny skærm", "The Outlook for iOS app crashes", "Il 2 marzo 2026 si è rotto:\nluce rossa",
    ],
)  # fmt: skip
def test_sentences_that_begin_like_them_are_kept(text: str) -> None:
    assert new_words(text) == text


PATTERNS = [name for name, value in vars(reply).items() if isinstance(value, re.Pattern)]
OCTETS, OCTETS_OF_A_PREFIX = 100_000, 20_000
LOOKS_A_LINE, CHARACTERS_A_CHARACTER = 14, 30


class Counted:
    """A pattern that counts how often it is asked, and about how many characters."""

    def __init__(self, pattern: re.Pattern[str], counts: list[int]) -> None:
        self._pattern, self._counts = pattern, counts

    def match(self, text: str) -> re.Match[str] | None:
        self._counts[0] += 1
        self._counts[1] += len(text)
        return self._pattern.match(text)

    def search(self, text: str) -> re.Match[str] | None:
        self._counts[0] += 1
        self._counts[1] += len(text)
        return self._pattern.search(text)


def looks_at(text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """How often patterns and the tests of lines are asked for a text, and about how many characters in all."""
    counts = [0, 0]
    with monkeypatch.context() as patch:
        for name in PATTERNS:
            patch.setattr(reply, name, Counted(getattr(reply, name), counts))
        word = reply._word

        def counted(line: str) -> str:
            counts[0] += 1
            counts[1] += min(len(line), 60)
            return word(line)

        patch.setattr(reply, "_word", counted)
        new_words(text)
    return counts[0], counts[1]


def pieces(language: str) -> Iterator[tuple[str, int]]:
    """Whatever a pattern knows of a language, whole and cut short, with and without a line end."""
    known = [*LANGUAGES[language][:3], *LANGUAGES[language][4:], OUTLOOK_ON_A_TELEPHONE[language], block(language)]
    for each in known:
        yield each + "\n", OCTETS
        yield each + " ", OCTETS
        for quarters in (1, 2, 3):
            yield each[: len(each) * quarters // 4] + "\n", OCTETS_OF_A_PREFIX
            yield each[: len(each) * quarters // 4] + " ", OCTETS_OF_A_PREFIX
    for word in LANGUAGES[language][3]:
        yield f"{word}{colon_of(language)} x\n", OCTETS


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_work_grows_with_the_text_whatever_it_is_made_of(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for piece, size in pieces(language):
        text = "hi\n\n" + piece * (size // len(piece))
        looks, characters = looks_at(text, monkeypatch)
        assert looks <= LOOKS_A_LINE * (text.count("\n") + 1), repr(piece)
        assert characters <= CHARACTERS_A_CHARACTER * len(text), repr(piece)


def test_a_line_without_end_is_looked_at_up_to_its_limit_and_would_be_looked_at_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "hi\n\n" + "On 1.1.2026 10:00 a@b.example " * 50_000 + "wrote:\n> q\n"
    within = looks_at(text, monkeypatch)[1]
    assert within <= 10 * reply.MAX_LOOKED_AT
    monkeypatch.setattr(reply, "MAX_LOOKED_AT", len(text))
    assert looks_at(text, monkeypatch)[1] > 100 * within


def test_every_pattern_and_every_word_is_met_by_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern that no text of the table asks for is not tried at all."""
    asked: dict[str, list[int]] = {name: [0, 0] for name in PATTERNS}
    for name in PATTERNS:
        monkeypatch.setattr(reply, name, Counted(getattr(reply, name), asked[name]))
    for language in LANGUAGES:
        for form in FORMS.values():
            new_words(f"{WORDS}\n\n{form(language)}\n")
    assert [name for name, counts in asked.items() if counts[0] == 0] == []


def test_each_way_a_phone_signs_is_looked_for_by_its_first_two_letters():
    head = reply._SIGNATURE.pattern.partition(r"\b.{0,40}")[0].removeprefix("(?:").removesuffix(")")
    begun = {each.lstrip("(?:")[:2].casefold() for each in re.sub(r" \(\?:[^)]*\)", "", head).split("|")}
    assert {"se", "té", "от"} <= begun
    assert begun <= reply._SIGNATURE_STARTS
