"""Addresses, ticket numbers, identifiers and errors as values."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itsm.address import canonical, domain_of, local_part_of
from itsm.envelope import OUTCOME_CODES, Outcome
from itsm.errors import Conflict, MalformedInput, Permanent, Refused, Transient, TriagedError
from itsm.identifier import MAX_COUNTER, MAX_NODE, compose, inbox_text, milliseconds_of, parse_inbox
from itsm.ticket import TicketType, number_text, parse_number


def test_an_address_is_known_by_its_folded_form():
    assert canonical("  Ana@Corp.EXAMPLE ") == "ana@corp.example"
    assert canonical("a\u0308na@x") == canonical("äna@x")


def test_domain_and_local_part_of_odd_addresses():
    assert domain_of("Ana@Corp.example") == "corp.example"
    assert domain_of("postmaster") == ""
    assert local_part_of("Ana+x@corp.example") == "ana+x"
    assert local_part_of("Postmaster") == "postmaster"


@pytest.mark.parametrize(
    ("text", "number"),
    [("INC-1042", 1042), ("req-7", 7), ("1042", 1042), (" CHG-5 ", 5), ("ABC-5", None), ("INC-0", None), ("INC-", None), ("INC-x", None)],
)
def test_any_known_prefix_finds_a_ticket(text, number):
    assert parse_number(text) == number


def test_a_number_too_large_for_a_token_is_none():
    assert parse_number("9" * 13) is None
    assert parse_number("9" * 14) is None
    assert parse_number("INC-٣") is None


def test_the_prefix_follows_the_type():
    assert number_text(TicketType.INCIDENT, 5) == "INC-5"
    assert number_text(TicketType.SERVICE_REQUEST, 5) == "REQ-5"


@given(st.integers(1_740_000_000_000, 3_000_000_000_000), st.integers(0, MAX_NODE), st.integers(0, MAX_COUNTER))
def test_an_identifier_keeps_its_time_and_sorts_by_it(milliseconds, node, counter):
    found = compose(milliseconds, node, counter)
    assert milliseconds_of(found) == milliseconds
    assert compose(milliseconds + 1, 0, 0) > found


@pytest.mark.parametrize("parts", [(0, 0, 0), (1_740_000_000_000, MAX_NODE + 1, 0), (1_740_000_000_000, 0, MAX_COUNTER + 1)])
def test_what_does_not_fit_its_bits_is_refused(parts):
    with pytest.raises(ValueError, match="out of range"):
        compose(*parts)


def test_an_inbox_identifier_is_read_as_it_is_written():
    number = compose(int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000), 1, 2)
    assert parse_inbox(inbox_text(number)) == number
    assert parse_inbox("IN-5") == 5
    for text in ("5", "in-", "in-x", "out-5", "in-" + "9" * 20, "in-9999999999999999999"):
        assert parse_inbox(text) is None


def test_every_outcome_has_its_own_letter():
    assert {outcome.code for outcome in Outcome} == set(OUTCOME_CODES.values())
    assert len(set(OUTCOME_CODES.values())) == len(Outcome)


def test_errors_say_their_docstring_when_nothing_else_is_said():
    assert str(Transient()) == (Transient.__doc__ or "").strip()
    assert str(MalformedInput("no")) == "no"
    assert (MalformedInput().status, Permanent().status, Conflict().status, TriagedError().status) == (400, 422, 409, 500)
    assert Refused("no", legal=("close",)).legal == ("close",)
