"""Quotes that HTML marks: they stay in the text and are no new words; marks that would leave nothing are not believed."""

import pytest

from intake.mail.html import html_text, without_quotes
from tests.intake.mail.mails import TOP, message_of

HTML = TOP + b"Content-Type: text/html; charset=utf-8\n\n"
QUOTES = {
    "gmail": '<div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">On Mon, 2 Mar 2026 at 10:15, Desk &lt;d@example.org&gt; wrote:<br></div><blockquote class="gmail_quote" style="margin:0"><div>old</div></blockquote></div>',
    "thunderbird": '<div class="moz-cite-prefix">Am 02.03.26 um 10:15 schrieb Desk:<br></div><blockquote type="cite" cite="mid:x@y"><p>old</p></blockquote>',
    "apple": '<br><div><blockquote type="cite"><div>On 2 Mar 2026, at 10:15, Desk wrote:</div><br><div>old</div></blockquote></div>',
    "outlook on the web": '<div id="appendonsend"></div><hr tabindex="-1"><div id="divRplyFwdMsg" dir="ltr"><b>From:</b> Desk<br><b>Sent:</b> Monday</div><div>old</div>',
    "outlook": '<hr><div id="divRplyFwdMsg"><b>Van:</b> Desk</div><div>old</div>',
    "yahoo": '<div id="ydp1yahoo_quoted_1" class="ydp1yahoo_quoted"><div>On Monday, Desk wrote:</div><div>old</div></div>',
    "proton": '<div class="protonmail_quote"><blockquote class="protonmail_quote" type="cite">old</blockquote></div>',
    "a signature": '<div class="gmail_signature">old</div>',
    "quotes in quotes": '<blockquote type="cite">old<blockquote type="cite">older</blockquote>old</blockquote>',
}  # fmt: skip


@pytest.mark.parametrize("name", QUOTES)
def test_what_a_mail_program_marks_as_quoted_is_no_new_word(name: str):
    mail = message_of(HTML + f"<html><body><div>It prints <b>again</b>.</div>{QUOTES[name]}</body></html>".encode())
    assert mail.reply_text == "It prints again."
    assert "old" in mail.text


def test_answers_between_marked_quotes_are_kept():
    body = '<blockquote type="cite">one?</blockquote><p>First.</p><blockquote type="cite">two?</blockquote><p>Second.</p>'
    assert message_of(HTML + body.encode()).reply_text.split() == ["First.", "Second."]


def test_a_mail_of_nothing_but_a_marked_quote_is_kept_whole():
    mail = message_of(HTML + b'<blockquote type="cite">all of it</blockquote>')
    assert mail.reply_text == mail.text == "all of it"


@pytest.mark.parametrize(
    "html", ["<p>plain</p>", "<blockquote>a saying</blockquote>", "<p>the class gmail_quote is nice</p>", "<a class=gmail_attr>x</a>"]
)
def test_what_is_not_marked_is_kept(html: str):
    cut = without_quotes(html)
    assert html_text(html if cut is None else cut) == html_text(html)


def test_a_mark_that_is_never_closed_ends_with_the_text():
    assert without_quotes('new<blockquote type="cite">old') == "new"
