"""A folder of own texts is tried as a whole before a reader is to get one."""

import pytest

from itsm.notification import Event
from notifier import own_texts
from notifier.own_texts import unusable
from notifier.sandbox import SHIPPED


def write(folder, name, text="Subject: [{{ number }}] mine\n\nfine {{ words | quoted }}\n"):
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_ours_are_all_usable_and_so_is_no_folder():
    assert list(unusable("")) == []
    assert list(unusable(str(SHIPPED))) == []


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("Subject: x\n\n{{ word }}\n", "line 3: there is no fact word for this event; there are number, type"),
        ("no subject\n\nwords\n", "must begin with a line `Subject: ...`"),
        ("Subject: x\n\n{% if %}\n", "Expected an expression"),
        ("Subject: x\n\n{% if trusted %}fine{% endif %}\n", "has no text below its subject"),  # only where the sender is not trusted
    ],
)
@pytest.mark.parametrize("place", ["", "de/", "pt-BR/"])
def test_a_text_that_fails_is_named_with_its_reason_in_every_language(tmp_path, place, text, because):
    write(tmp_path, f"{place}{Event.RESOLVED.value}.txt")
    file = write(tmp_path, f"{place}{Event.ACKNOWLEDGED.value}.txt", text)
    ((found, told),) = unusable(str(tmp_path))
    assert found == file
    assert told.startswith(because)


def test_what_nobody_would_ask_for_is_named(tmp_path):
    misspelt, folder = write(tmp_path, "aknowledged.txt"), write(tmp_path, "german/reply.txt").parent
    (tmp_path / "notes").mkdir()
    other, case = write(tmp_path, "de/zzz.txt"), write(tmp_path, "pt-br/reply.txt").parent
    assert dict(unusable(str(tmp_path))) == {
        misspelt: "belongs to no event; did you mean acknowledged.txt?",
        other: "belongs to no event",
        folder: "is not named as a language is, such as de or pt-BR, so that its texts are never sent",
        case: "is not named as a language is, such as de or pt-BR, so that its texts are never sent",
    }


def test_a_folder_that_is_not_there_is_a_finding(tmp_path):
    ((found, told),) = unusable(str(tmp_path / "none"))
    assert (found, told) == (tmp_path / "none", "cannot be read: No such file or directory")


def test_more_languages_than_are_kept_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(own_texts, "MAX_FOLDERS", 1)
    write(tmp_path, "de/reply.txt")
    assert not list(unusable(str(tmp_path)))
    write(tmp_path, "fr/reply.txt")
    ((_, told),) = unusable(str(tmp_path))
    assert told.startswith("holds texts in more than 1 languages")
