"""Settings that are refused at start, and the look at a header before anyone parses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.context import ALERT_FORMATS, GenericMapping
from intake.parse import ADAPTERS, RETRY_STATUS
from intake.scan import message_id_of, received_count
from intake.settings import (
    DEFAULT_SOURCES,
    HttpSettings,
    IntakeSettings,
    SmtpSettings,
    Source,
    host_and_port,
    on_loopback,
    refusals,
    sources_of,
)


def refused(own=(), **settings):
    return [each.message for each in refusals(IntakeSettings(**settings), own_addresses=own)]


def test_zero_configuration_is_safe():
    assert refused() == []
    assert sources_of(IntakeSettings()) == DEFAULT_SOURCES
    assert on_loopback(SmtpSettings().listen)
    assert on_loopback(HttpSettings().listen)


@pytest.mark.parametrize(
    ("listen", "loopback"), [("localhost:25", True), ("[::1]:25", True), ("0.0.0.0:25", False), ("mail.example:25", False)]
)
def test_what_is_loopback(listen, loopback):
    assert on_loopback(listen) is loopback


@pytest.mark.parametrize("listen", ["25", "localhost", "localhost:x", "localhost:99999"])
def test_a_listen_address_that_is_none_is_told(listen):
    with pytest.raises(ValueError, match="address and port"):
        host_and_port(listen)
    assert "address and port" in refused(smtp=SmtpSettings(listen=listen))[0]


def test_a_door_open_to_others_needs_recipients():
    assert "takes mail for nobody" in refused(smtp=SmtpSettings(listen="0.0.0.0:25"))[0]
    assert refused(smtp=SmtpSettings(listen="0.0.0.0:25", domains=("corp.example",))) == []
    assert refused(own=("help@corp.example",), smtp=SmtpSettings(listen="0.0.0.0:25")) == []
    assert refused(own=("desk@localhost",), smtp=SmtpSettings(listen="0.0.0.0:25")) != []
    assert refused(smtp=SmtpSettings(listen="0.0.0.0:25", enabled=False)) == []


def test_a_source_open_to_others_needs_a_credential():
    opened = HttpSettings(listen="0.0.0.0:8025")
    assert "no credential" in refused(http=opened, source=(Source(name="a"),))[0]
    assert "no credential" in refused(source=(Source(name="a", authentication="hmac"),))[0]
    assert refused(source=(Source(name="a"),)) == []
    assert refused(http=opened, source=(Source(name="a", authentication="none"), Source(name="b", token_file="x"))) == []


def test_sources_have_known_formats_and_names_of_their_own():
    assert "no format 'nagios'" in refused(source=(Source(name="a", format="nagios"),))[0]
    assert "two sources" in refused(source=(Source(name="a"), Source(name="a")))[0]
    assert "only a generic source" in refused(source=(Source(name="a", format="alertmanager", mapping=GenericMapping()),))[0]


def test_every_format_has_its_adapter():
    assert tuple(ADAPTERS) == tuple(RETRY_STATUS) == ALERT_FORMATS


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"Message-ID: <a@b>\r\n\r\n", "a@b"),
        (b"From: x\nmessage-id:\n <a@b>\n\nbody", "a@b"),
        (b"From: x\r\n\r\nMessage-ID: <a@b>\r\n", None),
        (b"Message-ID: a@b\r\n\r\n", "a@b"),
        (b"X-Message-ID: <a@b>\r\n\r\n", None),
        (b"", None),
        (b"x" * 70_000 + b"\r\nMessage-ID: <a@b>\r\n", None),
    ],
)
def test_the_message_id_is_found_in_the_header_only(raw, found):
    assert message_id_of(raw) == found


def test_hops_are_counted():
    assert received_count(b"Received: a\r\nX: y\r\nreceived: b\r\n\r\nReceived: c\r\n") == 2


@given(st.binary(max_size=400))
def test_the_scan_is_total(raw):
    message_id_of(raw)
    assert received_count(raw) >= 0
