"""A Dovecot of our own: a generated configuration, a folder, a port, users with quota; started and stopped as a process."""

import imaplib
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prove.ports import free_ports
from prove.postfix import SEARCH

CERTIFICATE = Path(__file__).resolve().parents[1] / "notifier" / "relay.pem"
PASSWORD = "open sesame"
CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{certificate}
disable_plaintext_auth = no
auth_failure_delay = 0
auth_mechanisms = plain login {mechanisms}
first_valid_uid = 1
default_login_user = dovenull
default_internal_user = dovecot
mail_location = maildir:{folder}/mail/%n
mail_uid = nobody
mail_gid = nogroup
mail_max_userip_connections = 100
imap_idle_notify_interval = 2 mins
mail_plugins = quota
plugin {{
  quota = maildir:User quota:ns=
  quota_rule = *:storage=1G
  quota2 = maildir:Archive quota:ns=Archive/
  quota2_rule = *:bytes=10
  quota2_grace = 0
  quota_exceeded_message = Quota exceeded.
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
namespace archive {{
  prefix = Archive/
  separator = /
  location = maildir:{folder}/mail/archive-%n
}}
protocol imap {{
  mail_plugins = quota imap_quota
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {tls_port}
    ssl = yes
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
{passdb}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%n
}}
"""
PASSWORDS = """
passdb {{
  driver = static
  args = password={password}
}}
"""


class Dovecot:
    """Starts at once; `close` ends it. Users exist by being named; their password is PASSWORD."""

    def __init__(self, ports: list[int], *, mechanisms: str = "", passdb: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="triaged-dovecot-"))  # short: names of Unix sockets are
        self.port, self.tls_port = ports
        self._validity = 4_000_000_000
        self.folder.chmod(0o755)
        (self.folder / "mail").mkdir()
        shutil.chown(self.folder / "mail", "nobody", "nogroup")
        certificate = self.folder / "certificate.pem"
        shutil.copyfile(CERTIFICATE, certificate)
        certificate.chmod(0o600)
        self.configuration = self.folder / "dovecot.conf"
        self.configuration.write_text(
            CONFIGURATION.format(
                folder=self.folder,
                port=self.port,
                tls_port=self.tls_port,
                certificate=certificate,
                mechanisms=mechanisms,
                passdb=passdb or PASSWORDS.format(password=PASSWORD.replace(" ", "")),
            )
        )
        program = shutil.which("dovecot", path=SEARCH)
        assert program is not None
        self._output = (self.folder / "output").open("wb")
        self.process = subprocess.Popen([program, "-F", "-c", str(self.configuration)], stdout=self._output, stderr=self._output)
        self._wait()

    @property
    def password(self) -> str:
        return PASSWORD.replace(" ", "")

    def _wait(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                imaplib.IMAP4("127.0.0.1", self.port, timeout=5).logout()
            except (OSError, imaplib.IMAP4.error):
                assert self.process.poll() is None, (self.folder / "output").read_text()
                time.sleep(0.05)
            else:
                return
        raise AssertionError("Dovecot did not start: " + self.log())

    def log(self) -> str:
        log = self.folder / "dovecot.log"
        return log.read_text()[-3000:] if log.exists() else (self.folder / "output").read_text()

    def login(self, user: str) -> imaplib.IMAP4:
        """A client of this user, to do what other mail programs do."""
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        client.login(user, self.password)
        return client

    def append(self, user: str, *mails: bytes, folder: str = "INBOX", date: str | None = None) -> None:
        """Put mails into a folder, as a delivery does."""
        with self.login(user) as client:
            for mail in mails:
                answer = client.append(folder, "", date, mail)  # type: ignore[arg-type]  # no flags, and the server's date
                assert answer[0] == "OK", answer

    def create(self, user: str, folder: str) -> None:
        with self.login(user) as client:
            assert client.create(folder)[0] == "OK"

    def count(self, user: str, folder: str = "INBOX") -> int:
        with self.login(user) as client:
            return int(client.select(folder, readonly=True)[1][0])

    def sessions(self, user: str) -> list[tuple[str, str, bool]]:
        """Logins and their ends in the order of the log: domain of the login, session, whether it begins.

        The part before the @ names the mailbox; whoever logs in tells itself from others by what stands behind it.
        """
        log = self.folder / "dovecot.log"
        lines = log.read_text().splitlines() if log.exists() else []
        began = re.compile(rf"imap-login: Info: Login: user=<{user}@([^>]*)>.* session=<([^>]*)>")
        ended = re.compile(rf"imap\({user}@([^)]*)\)<\d+><([^>]*)>: Info: Disconnected")
        found = [(began.search(line), ended.search(line)) for line in lines]
        return [(each[1], each[2], each is begin) for begin, end in found if (each := begin or end)]

    def change_uid_validity(self, user: str) -> None:
        """Forget every UID, as a server does that was rebuilt from its mails."""
        home = self.folder / "mail" / user
        self._validity += 1
        for each in home.glob("dovecot*"):
            each.unlink()
        (home / "dovecot-uidlist").write_text(f"3 V{self._validity} N1 G00000000000000000000000000000001\n")
        shutil.chown(home / "dovecot-uidlist", "nobody", "nogroup")

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self._output.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    made = Dovecot(free_ports(2))
    try:
        yield made
    finally:
        made.close()
