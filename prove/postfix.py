"""A Postfix of our own for tests and measurements: a generated configuration, a folder, a port. Nothing of the machine's is touched."""

import os
import pwd
import shutil
import smtplib
import subprocess
import tempfile
from email.message import EmailMessage
from pathlib import Path

SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
DEBIANS = Path("/usr/share/postfix/main.cf.debian")
PLAIN = "compatibility_level = 3.6\n"
MAIN = """
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = postfix.example
mydestination =
alias_maps =
alias_database =
smtpd_relay_restrictions = permit_mynetworks, reject
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def why_not() -> str | None:
    """Why none can be started here; None when one can."""
    if shutil.which("postfix", path=SEARCH) is None:
        return "Postfix is not installed (Debian: apt-get install postfix)"
    return "Postfix can be started by root only" if os.geteuid() != 0 else None


class Postfix:
    """Starts at once, raises RuntimeError when it cannot; `close` ends it and removes its folder."""

    def __init__(self, port: int, *, settings: str, services: str = "", debians: bool = False) -> None:
        """`settings` and `services` come after ours in main.cf and master.cf; `debians` puts Debian's defaults before them."""
        self.port = port
        self.folder = Path(tempfile.mkdtemp(prefix="triaged-postfix-"))
        self.folder.chmod(0o755)  # its processes are not root and must get in
        for name in ("etc", "queue", "data", "log"):
            (self.folder / name).mkdir()
        owner = pwd.getpwnam("postfix")
        os.chown(self.folder / "data", owner.pw_uid, owner.pw_gid)
        first = DEBIANS.read_text() if debians and DEBIANS.exists() else PLAIN
        (self.folder / "etc" / "main.cf").write_text(first + MAIN.format(folder=self.folder) + settings)
        (self.folder / "etc" / "master.cf").write_text(MASTER.format(port=port) + services)
        try:
            self._do("start")
        except RuntimeError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _do(self, what: str) -> None:
        command = [str(shutil.which("postfix", path=SEARCH)), "-c", str(self.folder / "etc"), what]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"postfix {what}: {(done.stdout + done.stderr).strip()[-300:]}")

    def flush(self) -> None:
        """Try what waits now."""
        self._do("flush")

    def has_deferred(self) -> bool:
        """Whether a mail waits because its destination did not take it."""
        return any(file.is_file() for file in (self.folder / "queue" / "deferred").rglob("*"))

    def log(self) -> str:
        """The end of its log."""
        file = self.folder / "log" / "mail.log"
        return file.read_text()[-3000:] if file.exists() else ""

    def send(self, message: EmailMessage | str, sender: str | None = None, *recipients: str) -> None:
        """Hand a mail over; without `sender` its fields say from and to whom."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as smtp:
            if isinstance(message, EmailMessage) and sender is None:
                smtp.send_message(message)
            else:
                smtp.sendmail(sender or "", recipients, message.as_bytes() if isinstance(message, EmailMessage) else message)

    def close(self) -> None:
        """Stop it."""
        try:
            self._do("stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
