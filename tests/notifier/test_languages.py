"""The language of a reader picks the desk's own text: the narrow one first, then the wide, then the usual, then ours."""

import asyncio
import email
import email.policy

import pytest

from itsm.notification import Event
from itsm.person import Person
from notifier.child import render_one
from notifier.folder import Folder
from notifier.preview import SAMPLE_IDENTITY, preview
from notifier.settings import NotifierSettings
from notifier.worker import Notifier
from store import people
from tests.notifier.running import KEYS

TEXTS = {"": "usual", "pt": "wide", "pt-BR": "narrow", "de": "deutsch"}


@pytest.fixture
def templates(tmp_path):
    """A folder with the text of one event in every language there is."""
    folder = tmp_path / "templates"
    for tag, words in TEXTS.items():
        (folder / tag).mkdir(parents=True, exist_ok=True)
        (folder / tag / "resolved.txt").write_text(f"Subject: [{{{{ number }}}}] {words}\n\n{words}\n")
    return folder


def read(message):
    mail = email.message_from_bytes(message, policy=email.policy.default)
    return mail, mail.get_body(("html",)).get_content()


@pytest.mark.parametrize(
    ("language", "words", "spoken"),
    [
        ("", "usual", "en"),
        ("fr", "usual", "en"),
        ("pt", "wide", "pt"),
        ("pt-PT", "wide", "pt"),
        ("pt-br", "narrow", "pt-BR"),
        ("pt-Latn-BR", "wide", "pt"),
        ("../templates/de", "usual", "en"),
        ("de/../de", "usual", "en"),
    ],
)
def test_the_nearest_text_is_taken_and_the_mail_says_its_language(templates, language, words, spoken):
    rendered = preview(Event.RESOLVED, templates=str(templates), language=language)
    mail, html = read(rendered.message)
    assert (mail["Subject"], mail["Content-Language"], rendered.fallback) == (f"[INC-1042] {words}", spoken, None)
    assert f'<html lang="{spoken}">' in html


def test_an_event_that_a_language_lacks_is_told_in_the_usual_text(templates):
    mail, _ = read(preview(Event.REPLY, templates=str(templates), language="de").message)
    assert mail["Content-Language"] == "en"
    assert "Printer 4F jams" in mail["Subject"]


def test_without_texts_of_the_desk_no_language_changes_ours():
    assert preview(Event.REPLY, language="de").message == preview(Event.REPLY).message


def test_a_text_of_a_language_that_fails_gives_way_to_the_next_and_it_is_told(templates):
    (templates / "pt-BR" / "resolved.txt").write_text("Subject: x\n\n{{ nothing }}\n")
    rendered = preview(Event.RESOLVED, templates=str(templates), language="pt-BR")
    mail, _ = read(rendered.message)
    assert (mail["Subject"], mail["Content-Language"]) == ("[INC-1042] wide", "pt")
    assert "there is no fact nothing" in rendered.fallback


def sent(store, folder, templates):
    """What goes out for everything in the outbox: the subject by its recipient."""

    async def in_process(_function, items):
        return [render_one(each) for each in items]

    async def work():
        settings = NotifierSettings(drain_seconds=0.2, templates=templates)
        identity, submitters = (lambda: SAMPLE_IDENTITY), [Folder(folder)]
        worker = Notifier(store, settings=settings, run_batch=in_process, identity=identity, keys=KEYS, submitters=submitters)
        return await worker.once()

    assert asyncio.run(work())
    mails = [email.message_from_bytes(each.read_bytes(), policy=email.policy.default) for each in folder.glob("*.eml")]
    return {str(each["To"]): str(each["Subject"]) for each in mails}


def test_everybody_is_told_in_their_own_language(store, enqueue, templates, tmp_path):
    ana = Person(address="ana@corp.example", addresses=("ana@corp.example", "ana@home.example"), language="de")
    bo = Person(address="bo@corp.example", addresses=("bo@corp.example",))
    rows = [("added", each, (), {}) for each in (ana, bo)]
    store.write(lambda tx: people.write_people(tx, rows, "operator:test")).result()
    for ticket, recipient in enumerate(("Ana@Home.example", "bo@corp.example", "stranger@corp.example"), start=1):
        enqueue(recipient=recipient, ticket_id=ticket)
    assert sent(store, tmp_path / "out", str(templates)) == {
        "Ana@Home.example": "[INC-1042] deutsch",
        "bo@corp.example": "[INC-1042] usual",
        "stranger@corp.example": "[INC-1042] usual",
    }
