"""Postfix as Debian sets it up, into its queue on the same disk, and then to nobody: an instance of its own in a temporary folder."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figure import Unavailable
from prove.ports import free_ports

SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
DEBIANS = Path("/usr/share/postfix/main.cf.debian")
OURS = """
in_flow_delay = 0
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
default_transport = discard:
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@contextmanager
def postfix() -> Iterator[int]:
    """Its port; raises Unavailable where it is not installed or may not be started."""
    program = shutil.which("postfix", path=SEARCH)
    if program is None:
        raise Unavailable("Postfix is not installed (Debian: apt-get install postfix)")
    if os.geteuid() != 0:
        raise Unavailable("Postfix can be started by root only")
    owner, (port,) = pwd.getpwnam("postfix"), free_ports(1)
    folder = Path(tempfile.mkdtemp(prefix="triaged-bench-postfix-"))
    folder.chmod(0o755)  # its processes are not root and must get in
    for name in ("etc", "queue", "data", "log"):
        (folder / name).mkdir()
    os.chown(folder / "data", owner.pw_uid, owner.pw_gid)
    debians = DEBIANS.read_text() if DEBIANS.exists() else "compatibility_level = 3.6\n"
    (folder / "etc" / "main.cf").write_text(debians + OURS.format(folder=folder))
    (folder / "etc" / "master.cf").write_text(MASTER.format(port=port))
    command = [program, "-c", str(folder / "etc")]
    try:
        started = subprocess.run([*command, "start"], capture_output=True, text=True, timeout=60, check=False)
        if started.returncode:
            raise Unavailable(f"Postfix did not start: {started.stderr.strip()[-200:]}")
        yield port
    finally:
        subprocess.run([*command, "stop"], capture_output=True, timeout=60, check=False)
        shutil.rmtree(folder, ignore_errors=True)
