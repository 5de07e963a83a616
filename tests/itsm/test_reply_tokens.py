"""Reply tokens: whatever is put together out of true ones, no other comes out (reliability A10, A53)."""

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itsm import token
from itsm.token import REPLY_CHARACTERS, ReplyToken, mint_reply, mint_verp, read_reply

KEYS = ((1, b"k" * 32),)
OTHER = ((2, b"o" * 32), *KEYS)
NUMBERS = st.integers(1, 2**40 - 1)
TOKENS = st.builds(ReplyToken, ticket_number=NUMBERS, grant=NUMBERS)


def octets(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


def text(raw):
    return base64.b32encode(raw).decode().rstrip("=").lower()


@given(TOKENS, TOKENS, st.integers(0, 27), st.integers(0, 27))
def test_no_splice_of_two_tokens_is_a_third(first, second, begin, end):
    one, two = octets(mint_reply(KEYS, first)), octets(mint_reply(KEYS, second))
    spliced = one[:begin] + two[begin:end] + one[max(begin, end) :]
    assert read_reply(KEYS, text(spliced)) in ((None, first, second) if spliced in (one, two) else (None,))


@given(TOKENS, st.integers(0, REPLY_CHARACTERS - 1), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567=+ "))
def test_no_changed_character_is_accepted(made, at, character):
    written = mint_reply(KEYS, made)
    changed = written[:at] + character + written[at + 1 :]
    assert read_reply(KEYS, changed) == (made if changed == written else None)


@given(TOKENS)
def test_any_case_is_the_same_token_and_another_purpose_is_none(made):
    written = mint_reply(KEYS, made)
    assert len(written) == REPLY_CHARACTERS
    assert read_reply(KEYS, written.upper()) == read_reply(KEYS, written) == made
    assert token.read_verp(KEYS, written) is None
    assert read_reply(KEYS, mint_verp(KEYS, made.grant)) is None


@given(TOKENS)
def test_keys_overlap_until_one_is_retired(made):
    old, new = mint_reply(KEYS, made), mint_reply(OTHER, made)
    assert octets(new)[0] == 2
    assert read_reply(OTHER, old) == read_reply(OTHER, new) == made
    assert read_reply(OTHER[:1], old) is None
    assert read_reply(KEYS, new) is None


def test_without_the_mac_a_made_up_token_would_pass(monkeypatch):
    made_up = text(bytes([1]) + (1042).to_bytes(5) + (1).to_bytes(5) + b"m" * 16)
    assert read_reply(KEYS, made_up) is None
    monkeypatch.setattr(hmac, "compare_digest", lambda one, two: True)
    assert read_reply(KEYS, made_up) == ReplyToken(ticket_number=1042, grant=1)


@pytest.mark.parametrize(
    "read",
    [
        lambda: read_reply(KEYS, mint_reply(KEYS, ReplyToken(ticket_number=1, grant=1))),
        lambda: token.read_verp(KEYS, mint_verp(KEYS, 7)),
        lambda: token.read_message_id(KEYS, token.mint_message_id(KEYS, 7, "ana@corp.example", "d")),
        lambda: token.matches_recipient(KEYS, token.mint_message_id(KEYS, 7, "ana@corp.example", "d"), "ana@corp.example"),
        lambda: token.is_our_mark(KEYS, token.mint_mark(KEYS, "x@d")),
    ],
)
def test_every_mac_is_compared_in_constant_time(monkeypatch, read):
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda one, two: compared.append((one, two)) or one == two)
    assert read()
    assert compared
