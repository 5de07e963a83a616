"""Language tags: what is one, and what is looked for."""

import pytest

from itsm.language import is_language_tag, lookup


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("de", ("de",)),
        ("DE", ("de",)),
        ("pt-br", ("pt-BR", "pt")),
        ("ZH-HANT-TW", ("zh-Hant-TW", "zh-Hant", "zh")),
        ("sl-rozaj", ("sl-rozaj", "sl")),
        ("es-419", ("es-419", "es")),
    ],
)
def test_a_tag_is_looked_for_from_the_narrow_to_the_wide(tag, found):
    assert lookup(tag) == found


@pytest.mark.parametrize("text", ["", "d", "german", "de_AT", "..", "de/..", "../de", "de-", "-de", "de-a", "a-b-c-d", "de\n", "d\u00e9"])
def test_what_is_no_tag_is_looked_for_nowhere(text):
    assert not is_language_tag(text)
    assert lookup(text) == ()
