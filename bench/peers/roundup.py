"""Roundup: its classic tracker on SQLite, fed by its mail gateway from a mailbox file."""

import tempfile
from pathlib import Path

from bench.peers.peer import MAILS, WatchingRelay, command, environment, mail

SETTINGS = {  # of config.ini; the author of a new message gets it too: that is the acknowledgement
    ("tracker", "web"): "http://localhost/",
    ("mail", "domain"): "corp.example",
    ("mail", "host"): "127.0.0.1",
    ("nosy", "messages_to_author"): "new",
}


def tickets_a_second() -> float:
    """One run of `roundup-mailgw` over a mailbox of mails from people it does not know."""
    programs = environment("roundup") / "bin"
    relay = WatchingRelay()
    try:
        with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
            tracker, box = Path(folder) / "tracker", Path(folder) / "box"
            command([str(programs / "roundup-admin"), "-i", str(tracker), "install", "classic", "sqlite"], Path(folder))
            _configure(tracker / "config.ini", SETTINGS | {("mail", "port"): str(relay.port)})
            command([str(programs / "roundup-admin"), "-i", str(tracker), "initialise", "secret"], Path(folder))
            box.write_bytes(b"".join(b"From bench Tue Nov 24 10:00:00 2026\n" + mail(index) + b"\n" for index in range(MAILS)))
            command([str(programs / "roundup-mailgw"), str(tracker), "mailbox", str(box)], Path(folder))
            return relay.rate("Roundup")
    finally:
        relay.close()


def _configure(file: Path, settings: dict[tuple[str, str], str]) -> None:
    """Set values in its file, which has them commented out or with defaults, section by section."""
    section, lines = "", []
    for line in file.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        name = line.lstrip("#").partition("=")[0].strip()
        lines.append(f"{name} = {settings[section, name]}" if "=" in line and (section, name) in settings else line)
    file.write_text("\n".join(lines) + "\n")
