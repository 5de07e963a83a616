"""Tokens prove that we wrote something; nothing that was altered passes (A10, A21)."""

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itsm.token import (
    ReplyToken,
    is_our_mark,
    matches_recipient,
    mint_mark,
    mint_message_id,
    mint_reply,
    mint_verp,
    read_message_id,
    read_reply,
    read_verp,
)

KEYS = ((2, b"new" * 11), (1, b"old" * 11))
OLD = ((1, b"old" * 11),)
OTHER = ((1, b"else" * 8), (2, b"else" * 9))
ROWS = st.integers(0, 2**63 - 1)


@given(ROWS, st.emails())
def test_a_message_id_is_ours_and_bound_to_its_recipient(row, address):
    minted = mint_message_id(KEYS, row, address, "desk.example")
    assert len(minted.partition("@")[0]) <= 64
    assert read_message_id(KEYS, minted) == row
    assert read_message_id(KEYS, minted.upper()) == row
    assert matches_recipient(KEYS, minted, address.upper())
    assert not matches_recipient(KEYS, minted, f"x{address}")
    assert read_message_id(OTHER, minted) is None
    assert not matches_recipient(OTHER, minted, address)


@given(st.binary(min_size=1, max_size=100), ROWS)
def test_a_token_is_cut_from_an_hmac_sha256_of_its_purpose_and_its_body(secret, row):
    body = bytes([7]) + row.to_bytes(8)
    wanted = base64.b32encode(body + hmac.digest(secret, b"verp\0" + body, "sha256")[:12]).decode()
    for _ in range(2):  # the second time the key is known
        assert mint_verp(((7, secret),), row) == wanted.rstrip("=").lower()


@given(ROWS, st.integers(0, 46), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_an_altered_message_id_is_nobodys(row, at, letter):
    minted = mint_message_id(KEYS, row, "ana@x.example", "d")
    altered = minted[:at] + letter + minted[at + 1 :]
    if altered != minted:
        assert read_message_id(KEYS, altered) is None or not matches_recipient(KEYS, altered, "ana@x.example")


@given(ROWS)
def test_a_retired_key_goes_on_verifying_while_it_is_kept(row):
    minted = mint_message_id(OLD, row, "ana@x.example", "d")
    assert read_message_id(KEYS, minted) == row
    assert read_verp(KEYS, mint_verp(OLD, row)) == row


@given(ROWS)
def test_a_token_of_one_kind_never_passes_as_another(row):
    verp = mint_verp(KEYS, row)
    assert read_verp(KEYS, verp) == row
    assert read_verp(KEYS, verp.upper()) == row
    assert read_message_id(KEYS, f"{verp}@d") is None
    assert read_reply(KEYS, verp) is None
    assert read_verp(OTHER, verp) is None
    assert read_verp(KEYS, mint_reply(KEYS, ReplyToken(ticket_number=1, grant=1))[:34]) is None


@given(st.integers(1, 2**40 - 1), st.integers(0, 2**40 - 1))
def test_a_reply_token_has_44_characters_and_binds_ticket_and_grant(number, grant):
    token = mint_reply(KEYS, ReplyToken(ticket_number=number, grant=grant))
    assert len(token) == 44
    assert read_reply(KEYS, token.upper()) == ReplyToken(ticket_number=number, grant=grant)
    assert read_reply(OTHER, token) is None
    assert read_reply(KEYS, token[:-1]) is None


@pytest.mark.parametrize(("number", "grant"), [(0, 1), (2**40, 1), (1, 2**40), (1, -1)])
def test_what_does_not_fit_a_reply_token_is_refused(number, grant):
    with pytest.raises(ValueError, match="five octets"):
        mint_reply(KEYS, ReplyToken(ticket_number=number, grant=grant))


def test_a_loop_mark_is_ours_only_with_our_mac():
    mark = mint_mark(KEYS, "abc@d")
    assert is_our_mark(KEYS, f" {mark} ")
    assert not is_our_mark(OTHER, mark)
    assert not is_our_mark(KEYS, mark.replace("abc@d", "abd@d"))
    assert not is_our_mark(KEYS, "yes")


@given(st.text(max_size=80))
def test_no_text_is_a_token_by_chance(text):
    assert read_message_id(KEYS, text) is None
    assert not matches_recipient(KEYS, text, "a@b")
    assert read_verp(KEYS, text) is None
    assert read_reply(KEYS, text) is None
    assert not is_our_mark(KEYS, text)


@pytest.mark.parametrize("text", ["1" * 47, "A" * 46 + "B", "ü" * 47])
def test_a_text_that_is_no_base32_or_not_as_we_write_it_is_none(text):
    assert read_message_id(KEYS, text) is None
