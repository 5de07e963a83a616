"""New words only: quotes and signatures are left out, and nothing is ever cut to nothing (mail 34, 35)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.mail.reply import new_words

ATTRIBUTIONS = [
    "On Mon, 2 Mar 2026 at 10:15, Help Desk <desk@example.org> wrote:",
    "On Mon, 2 Mar 2026 at 10:15, Help Desk\n<desk@example.org> wrote:",
    "Am 02.03.2026 um 10:15 schrieb Help Desk <desk@example.org>:",
    "Am Mo., 2. März 2026 um 10:15 Uhr schrieb Help Desk <\ndesk@example.org>:",
    "Le lun. 2 mars 2026 à 10:15, Help Desk <desk@example.org> a écrit :",
    "El lun, 2 mar 2026 a las 10:15, Help Desk (<desk@example.org>) escribió:",
    "Il giorno lun 2 mar 2026 alle ore 10:15 Help Desk <desk@example.org> ha scritto:",
    "Op 2 maart 2026 10:15 schreef Help Desk <\ndesk@example.org>:",
    "Den mån 2 mars 2026 kl 10:15 skrev Help Desk <desk@example.org>:",
    "W dniu 2.03.2026 o 10:15, Help Desk pisze: napisał:",
    "Em seg., 2 de mar. de 2026 às 10:15, Help Desk <desk@example.org> escreveu:",
    "02.03.2026 10:15 пользователь \"Help Desk\" <\ndesk@example.org> написал:",
    "Mon, 2 Mar 2026 10:15:00 +0100 от Help Desk <desk@example.org>:",
    "pe 2. maaliskuuta 2026 klo 10.15 Help Desk\n<desk@example.org> kirjoitti:",
    "2026年3月2日(月) 10:15 Help Desk <desk@example.org>さんは書きました:",
    "Help Desk <desk@example.org> 于2026年3月2日周一 10:15写道：",
    "---- On Mon, 02 Mar 2026 10:15:00 +0100 desk@example.org wrote ----",
]  # fmt: skip
BLOCKS = [
    "-----Original Message-----\nFrom: Help Desk\nSent: Monday",
    "-----Ursprüngliche Nachricht-----\nVon: Help Desk",
    "________________________________\nFrom: Help Desk <desk@example.org>\nSent: Monday, March 2, 2026 10:15 AM\nTo: Ana <ana@example.com>\nSubject: Printer",
    "Von: Help Desk <desk@example.org>\nGesendet: Montag, 2. März 2026 10:15\nAn: Ana\nBetreff: Drucker",
    "De : Help Desk <desk@example.org>\nEnvoyé : lundi 2 mars 2026 10:15\nÀ : Ana\nObjet : Imprimante",
    "*From:* Help Desk\n*Date:* Monday\n*To:* Ana\n*Subject:* x",
    "Date: Thu, 26 Jun 2014 13:53:45 +0400\nSubject: Printer\nFrom: desk@example.org\nTo: ana@example.com",
    "发件人: Help Desk\n发送时间: 2026年3月2日 10:15\n收件人: Ana\n主题: 打印机",
    "Begin forwarded message:\n\nFrom: x",
    "---------- Forwarded message ---------\nFrom: x",
    "====\n\nMessage du : 02/03/2026 10:15\nDe : Help Desk\nA : Ana\nCopie à :\nSujet : x",
]  # fmt: skip


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
@pytest.mark.parametrize("quote", ["> We replaced the toner.\n> Is it fine?", "We replaced the toner."])
def test_what_follows_an_attribution_is_quoted(attribution: str, quote: str):
    assert new_words(f"It prints again.\nThank you!\n\n{attribution}\n\n{quote}\n") == "It prints again.\nThank you!"


@pytest.mark.parametrize("block", BLOCKS)
def test_what_follows_a_pasted_header_is_quoted(block: str):
    assert new_words(f"It prints again.\n\n{block}\n\nWe replaced the toner.\n") == "It prints again."


def test_answers_between_quotes_are_kept():
    text = "Hi,\n\nOn 2 Mar 2026, x@y.example wrote:\n> First question?\n\nFirst answer.\n\n> Second question?\n\nSecond answer.\n"
    assert [line for line in new_words(text).split("\n") if line] == ["Hi,", "First answer.", "Second answer."]


def test_an_answer_below_the_quote_is_kept():
    assert new_words("On 2 Mar 2026, x@y.example wrote:\n\n> Question?\n\nAnswer.\n-- \nAna") == "Answer."


def test_a_quoted_line_wrapped_without_its_mark_is_quoted():
    quote = "> This line of the quote was longer than the program of the sender liked it to\nbe here\n> and it goes on."
    assert new_words(f"Thanks.\n\nOn 2 Mar 2026, x@y.example wrote:\n\n{quote}\n") == "Thanks."


@pytest.mark.parametrize(
    "signature",
    ["-- \nAna\nThird floor", "--\nAna", "—\nAna", "Sent from my iPhone", "Get Outlook for iOS", "Von meinem iPhone gesendet", "Gesendet mit der Mail App", "Envoyé de mon iPhone", "________________________________", "*****"],
)  # fmt: skip
def test_signatures_are_left_out(signature: str):
    assert new_words(f"It prints.\n\n{signature}\n") == "It prints."


@pytest.mark.parametrize(
    "text",
    [
        "One is not on the list.",
        "On Monday it stopped.\nOn Tuesday it worked.",
        "The log says:\nerror 5",
        "He wrote:\nnothing works",
        "Sent from my desk, is much easier than my phone.",
        "Name   Value\n-------------\na      b",
        "From: the third floor\nit does not print",
        "I use -- in my text",
        "Original message",
        "Please note:\n- one\n- two",
        "See http://example.com/wrote: here",
    ],
)  # fmt: skip
def test_what_is_no_quote_is_kept(text: str):
    assert new_words(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("> only\n> quoted", "> only\n> quoted"),
        ("-----Original Message-----\nFrom: x\nSent: y\n\nforwarded words", "-----Original Message-----\nFrom: x\nSent: y\n\nforwarded words"),
        ("-- \nAna", "-- \nAna"),
        ("On 2 Mar 2026, x@y.example wrote:\n> q", "On 2 Mar 2026, x@y.example wrote:\n> q"),
        ("", ""),
        ("  \n ", ""),
    ],
)  # fmt: skip
def test_nothing_is_cut_to_nothing(text: str, words: str):
    assert new_words(text) == words


LINES = st.sampled_from(
    [
        "> q",
        "",
        "-- ",
        "On 2 Mar 2026, a@b.example wrote:",
        "wrote:",
        "words",
        "From: a",
        "To: b",
        "Subject: c",
        "-----Original Message-----",
        "Sent from my iPhone",
        ":",
    ]
)


@given(st.lists(LINES, max_size=30))
def test_new_words_are_lines_of_the_text_in_their_order(lines: list[str]):
    text = "\n".join(lines)
    kept = new_words(text)
    assert bool(kept) == bool(text.strip())
    remaining = iter(each.strip() for each in lines)
    assert all(line.strip() in remaining for line in kept.split("\n") if line.strip())


@given(st.text(max_size=300))
def test_any_text_is_split(text: str):
    assert bool(new_words(text)) == bool(text.strip())
