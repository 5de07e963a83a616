"""Words are cut and folded the same for what is kept and what is looked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itsm.words import MAX_TERMS, MAX_WORD_CHARACTERS, MAX_WORDS, Term, folded, terms, words


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("The printer, the PRINTER!", "the printer"),
        ("db01.corp.example:5432", "db01 corp example 5432"),
        ("Grüße aus der GRUSSE", "grusse aus der"),
        ("Ｗｉｄｅ ﬁne", "wide fine"),
        ("naïve_café", "naive cafe"),
        ("日本語 text", "日 本 語 text"),
        ("Ελλάδα Москва", "ελλαδα москва"),
        ('\'; DROP "x" & !|*', "drop x"),
        ("", ""),
    ],
)
def test_a_text_is_cut_into_its_folded_words(text, cut):
    assert words([text]) == cut


@given(st.text(max_size=80))
def test_every_word_that_is_kept_is_found_by_the_text_it_came_from(text):
    kept = words([text]).split()
    assert [each.word for each in terms(text)] == kept[:MAX_TERMS]
    assert all(folded(each) == each and each.isalnum() and len(each) <= MAX_WORD_CHARACTERS for each in kept)


def test_the_words_of_a_text_are_bounded():
    assert len(words(f"w{n}" for n in range(3 * MAX_WORDS)).split()) == MAX_WORDS
    assert words(["x" * 1_000]) == "x" * MAX_WORD_CHARACTERS


def test_a_star_looks_for_what_begins_so():
    assert terms("prin* db1.corp*") == (Term(word="prin", prefix=True), Term(word="db1"), Term(word="corp", prefix=True))
    assert terms("*") == terms("...") == ()
