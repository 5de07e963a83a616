"""A real Postfix as the mail server in front and as the relay behind: a mail comes by it and its acknowledgement goes by it."""

import os
import pwd
import shutil
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from prove.daemon import Daemon
from prove.ports import free_ports
from prove.relay import RecordingRelay
from tests.interop.conftest import SEARCH, Site

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = postfix.example
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
smtpd_relay_restrictions = permit_mynetworks, reject
disable_dns_lookups = yes
smtp_host_lookup = native
transport_maps = inline:{{ {{ localhost = smtp:[127.0.0.1]:{triaged} }} }}
relayhost = [127.0.0.1]:{sink}
smtputf8_enable = no
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One instance of its own: nothing of the machine's Postfix is touched."""

    def __init__(self, folder: Path, port: int, *, triaged: int, sink: int) -> None:
        self.folder, self.port = folder, port
        owner = pwd.getpwnam("postfix")
        folder.chmod(0o755)  # its processes are not root and must get in
        for name in ("etc", "queue", "data", "log"):
            (folder / name).mkdir()
        os.chown(folder / "data", owner.pw_uid, owner.pw_gid)
        (folder / "etc" / "main.cf").write_text(MAIN.format(folder=folder, triaged=triaged, sink=sink))
        (folder / "etc" / "master.cf").write_text(MASTER.format(port=port))
        self._do("start")

    def _do(self, what: str) -> None:
        command = [str(shutil.which("postfix", path=SEARCH)), "-c", str(self.folder / "etc"), what]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def stop(self) -> None:
        self._do("stop")

    def flush(self) -> None:
        """Try what waits now."""
        self._do("flush")

    def has_deferred(self) -> bool:
        """Whether a mail waits because its destination did not answer."""
        return any(file.is_file() for file in (self.folder / "queue" / "deferred").rglob("*"))

    def send(self, message: EmailMessage) -> None:
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as smtp:
            smtp.send_message(message)


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[tuple[Site, Postfix]]:
    """A daemon with Postfix before and behind it, and a sink where the world would be."""
    sink = RecordingRelay()
    (port,) = free_ports(1)
    daemon = Daemon(tmp_path, port)
    with tempfile.TemporaryDirectory(prefix="postfix-") as folder:
        postfix = Postfix(Path(folder), port, triaged=daemon.smtp_port, sink=sink.port)
        try:
            daemon.start()
            assert daemon.wait_ready(), daemon.last_words()
            yield Site(daemon, sink), postfix
            assert daemon.stop() == 0
        finally:
            daemon.kill()
            postfix.stop()
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
