"""A real Postfix as the mail server in front and as the relay behind: a mail comes by it and its acknowledgement goes by it."""

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from prove.daemon import Daemon
from prove.ports import free_ports
from prove.postfix import Postfix
from prove.relay import RecordingRelay
from tests.interop.conftest import Site

BETWEEN = """\
local_recipient_maps =
disable_dns_lookups = yes
smtp_host_lookup = native
transport_maps = inline:{{ {{ localhost = smtp:[127.0.0.1]:{triaged} }} }}
relayhost = [127.0.0.1]:{sink}
smtputf8_enable = no
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[tuple[Site, Postfix]]:
    """A daemon with Postfix before and behind it, and a sink where the world would be."""
    sink = RecordingRelay()
    (port,) = free_ports(1)
    daemon = Daemon(tmp_path, port)
    postfix = Postfix(port, settings=BETWEEN.format(triaged=daemon.smtp_port, sink=sink.port))
    try:
        daemon.start()
        assert daemon.wait_ready(), daemon.last_words()
        yield Site(daemon, sink), postfix
        assert daemon.stop() == 0
    finally:
        daemon.kill()
        postfix.close()
        sink.close()


def mail(subject: str, message_id: str, **headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in {"From": "ana@example.org", "To": "help@localhost", "Subject": subject, "Message-ID": message_id, **headers}.items():
        message[name.replace("_", "-")] = value
    message.set_content("It does not work.")
    return message


def answers(site: Site) -> list[str]:
    """Message-IDs of what reached the sender."""
    return [message_id for message_id, recipients in site.relay.recipients.items() if "ana@example.org" in recipients]


def test_a_mail_by_postfix_is_acknowledged_by_postfix_and_the_reply_finds_its_ticket(circle):
    site, postfix = circle
    postfix.send(mail("The scanner is broken", "<first@example.org>"))
    (acknowledgement,) = site.until(lambda: answers(site))
    postfix.send(mail("Re: The scanner is broken", "<second@example.org>", In_Reply_To=f"<{acknowledgement}>"))
    site.until(lambda: _done(site) >= 2)
    assert [each["subject"] for each in site.objects("ticket", "list")] == ["The scanner is broken"]
    assert answers(site) == [acknowledgement]
    assert site.command("verify").returncode == 0


def test_a_mail_that_waits_in_postfix_while_the_daemon_is_down_comes_when_it_is_up(circle):
    site, postfix = circle
    assert site.daemon.stop() == 0
    postfix.send(mail("Sent into the dark", "<dark@example.org>"))
    site.until(postfix.has_deferred)
    site.daemon.start()
    assert site.daemon.wait_ready(), site.daemon.last_words()
    postfix.flush()
    (ticket,) = site.until(lambda: site.objects("ticket", "list"))
    assert ticket["subject"] == "Sent into the dark"
    assert site.until(lambda: answers(site))


def _done(site: Site) -> int:
    laws = site.command("verify").stdout
    return int(laws.partition("pending + ")[2].partition(" done")[0] or 0)
