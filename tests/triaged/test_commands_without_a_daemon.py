"""The verbs that need no daemon, and what all of them say when something is missing."""

import io
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest

from itsm.envelope import Channel, Envelope
from itsm.errors import Permanent
from itsm.identifier import inbox_text
from store import inbox
from store.inbox import Arrived
from store.settings import StoreSettings
from store.store import Store
from triaged import clock, main, ownership
from triaged.checkup import examine
from triaged.documents import example
from triaged.main import VERBS, cli
from triaged.run import run as run_daemon

MAIL = b"From: Ana <ana@example.com>\r\nTo: desk@example.org\r\nSubject: It is broken\r\nMessage-ID: <a@example.com>\r\n\r\nIt is broken\tnow.\r\n"
ALERT = b'{"title": "Disk full", "status": "firing", "id": "d1", "labels": {"host": "db1"}, "text": "one\\ntwo"}'


def test_help_is_light_and_lists_every_verb(say) -> None:
    said = say("--help")
    assert said.code == 0
    assert all(f"  {name} " in said.out for name in VERBS)
    source = "import sys; from triaged.main import run; run(['--help']); sys.exit(any(m in sys.modules for m in ('sqlalchemy', 'starlette', 'intake')))"
    assert subprocess.run([sys.executable, "-c", source], capture_output=True).returncode == 0


def test_a_verb_that_is_not_there_names_the_nearest(say) -> None:
    said = say("chekc")
    assert said.code == 2
    assert "there is no verb 'chekc'; did you mean 'check'?" in said.err
    assert "there is no verb 'zzz'\n" in say("zzz").err
    assert say().code == 2
    assert say("--version").out.startswith("triaged, version ")


def test_a_valid_configuration_is_told(say, site, tmp_path, monkeypatch) -> None:
    assert site.command("check").code == 0
    assert say("check", str(site.file), "--json").json()[0]["valid"] is True
    monkeypatch.chdir(tmp_path / "..")
    assert "no configuration file: the defaults: valid" in say("check").err


def test_findings_go_to_stdout_with_exit_code_3(say, site) -> None:
    site.configure("[dsk]\n")
    said = site.command("check")
    assert said.code == 3
    assert said.out.startswith(f"{site.file}:")
    assert "1 finding; nothing was changed" in said.err
    [found] = say("check", "--json", str(site.file)).json()
    assert found["findings"][0]["hint"] == "did you mean 'desk'?"
    said = site.command("ticket", "list")
    assert said.code == 3
    assert "unknown key" in said.err


def test_texts_of_your_own_that_fail_are_found_before_a_reader_gets_ours(say, site, tmp_path) -> None:
    (tmp_path / "texts" / "de").mkdir(parents=True)
    text = tmp_path / "texts" / "de" / "resolved.txt"
    text.write_text("Subject: fertig\n\n{{ wort }}\n")
    site.configure(f'[notifier]\ntemplates = "{tmp_path}/texts"\n')
    said = site.command("check")
    assert said.code == 3
    assert said.out.startswith(f"{text}: notifier.templates: line 3: there is no fact wort")
    [found] = site.command("check", "--json").json()
    assert (found["valid"], found["file"], found["findings"][0]["file"]) == (False, str(site.file), str(text))
    assert f"WARN  {'texts':14} {text}: notifier.templates: line 3" in site.command("doctor").out
    text.write_text("Subject: fertig\n\nfertig\n")
    assert site.command("check").code == 0
    assert " texts " not in site.command("doctor").out


def test_the_example_schema_and_settings_in_force_are_shown(say, site) -> None:
    assert say("config", "example").out == example()
    assert json.loads(say("config", "schema").out)["title"] == "triaged.toml"
    site.configure(
        '[[rules.rule]]\nkey = "a"\nwhen = { subject = { contains = "x" } }\n[notifier.relay]\nhost = "r"\n[[intake.source.x]]\n'.replace(
            "[[intake.source.x]]\n", ""
        )
    )
    said = site.command("config", "show")
    assert '[[rules.rule]]\nkey = "a"' in said.out
    assert '[notifier.relay]\nhost = "r"' in said.out
    shown = site.directory / "shown.toml"
    shown.write_text(said.out)
    assert say("--config", str(shown), "config", "show").out == said.out
    assert site.command("config", "show", "--json").json()[0]["desk"]["name"] == "Test Desk"


def test_a_first_configuration_is_written_and_never_overwritten(say, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = say("init")
    assert (said.code, said.out) == (0, "triaged.toml\n")
    assert Path("triaged.toml").read_text() == example()
    assert stat.S_IMODE(Path("var/admin.token").stat().st_mode) == 0o600
    assert say("init").code == 5
    assert "it has tokens already" in say("init", "--config", "second.toml").err
    assert say("init", "--config", "nowhere/at/all.toml").code == 1


def test_files_are_parsed_in_order(say, tmp_path) -> None:
    (tmp_path / "a.eml").write_bytes(MAIL)
    (tmp_path / "big.eml").write_bytes(b"x" * 70_000_000)
    said = say("parse", "--json", str(tmp_path / "a.eml"), str(tmp_path / "gone.eml"), str(tmp_path / "big.eml"))
    assert said.code == 1
    mail, gone, big = said.json()
    assert mail["subject"] == "It is broken"
    assert "No such file" in gone["error"]
    assert "larger than" in big["error"]
    text = say("parse", str(tmp_path / "a.eml")).out
    assert "from:\n  name: Ana\n  address: ana@example.com" in text
    assert say("parse", "--as", "nonsense", "x").code == 2


def test_alerts_are_parsed_from_stdin_too(say, tmp_path, monkeypatch) -> None:
    (tmp_path / "a.json").write_bytes(ALERT)
    assert say("parse", "--as", "generic", "--json", str(tmp_path / "a.json")).json()[0]["events"][0]["title"] == "Disk full"
    assert "labels:\n    host: db1" in say("parse", "--as", "generic", str(tmp_path / "a.json")).out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
    said = say("parse", "--as", "generic", "--json", "-")
    assert said.code == 1
    assert "neither a title" in said.json()[0]["error"]


def test_a_mail_is_previewed_as_it_would_be_sent(say, site) -> None:
    said = site.command("preview", "acknowledged")
    assert "From:    Test Desk <desk@example.org>" in said.out
    assert "INC-1042" in site.command("preview", "resolved", "--raw", "--untrusted").out
    assert site.command("preview", "reply", "--json").json()[0]["fallback"] is None
    templates = site.directory / "templates"
    templates.mkdir()
    (templates / "resolved.txt").write_text("{{ nothing }}")
    site.configure(f'[notifier]\ntemplates = "{templates}"\n')
    said = site.command("preview", "resolved")
    assert said.code == 1
    assert "The template failed" in said.err
    (templates / "de").mkdir()
    (templates / "de" / "resolved.txt").write_text("Subject: Erledigt\n\nDas ist erledigt.\n")
    assert "Das ist erledigt." in site.command("preview", "resolved", "--language", "de-AT").out
    assert "no language tag" in site.command("preview", "resolved", "--language", "de/..").err


def test_without_a_database_a_command_says_what_to_do(site) -> None:
    for arguments in (("ticket", "list"), ("verify",), ("explain", "INC-1"), ("backup", str(site.directory / "b"))):
        said = site.command(*arguments)
        assert said.code == 4
        assert "there is no database at" in said.err
    assert "the first start makes one" in site.command("db", "status").out
    assert site.command("healthcheck").code == 4
    assert site.command("db", "upgrade").code == 0
    assert "Nothing to do" in site.command("db", "upgrade").err
    assert site.command("db", "upgrade", "--json").json()[0]["done"] == []
    assert "There is no such ticket." in site.command("ticket", "list").err
    assert "There is no token." in site.command("token", "list").err


def quarantined(site, body: bytes, count: int = 1) -> list[str]:
    """Envelopes in quarantine, as the triage worker leaves them."""
    store = Store(StoreSettings(path=str(site.directory / "var")), clock=clock.now)
    try:
        ids = []
        for _ in range(count):
            envelope = Envelope(
                id=store.new_id(),
                channel=Channel.SMTP,
                source="smtp",
                received_at=store.clock(),
                size_bytes=len(body),
                forward_paths=("a@b.c",),
            )
            store.write(lambda tx, envelope=envelope: inbox.add_many(tx, [Arrived(envelope=envelope, body=body)])).result()
            store.write(lambda tx, envelope=envelope: inbox.quarantine(tx, envelope.id, "the parser crashed")).result()
            ids.append(inbox_text(envelope.id))
        return ids
    finally:
        store.close()


def test_a_quarantined_envelope_is_retried_edited_or_dropped(site, tmp_path, monkeypatch) -> None:
    first, second, third, fourth = quarantined(site, MAIL, 4)
    assert first in site.command("queue", "list", "--of", "quarantine").out
    assert site.command("queue", "list", "--of", "quarantine", "--json").json()[0]["reason"] == "the parser crashed"
    assert "is set aside: the parser crashed" in site.command("queue", "why", "--of", "quarantine", first).out
    assert "no part yet; the parser crashed" in site.command("explain", first).out
    assert site.command("queue", "retry", "--of", "quarantine", first).code == 0
    assert "waits for triage" in site.command("queue", "why", "--of", "inbox", first).out
    assert site.command("queue", "drop", "--of", "quarantine", second, "--reason", "spam").code == 0
    assert "dropped: spam" in site.command("queue", "show", "--of", "inbox", second).out
    mended = tmp_path / "mended.eml"
    mended.write_bytes(MAIL.replace(b"broken", b"mended"))
    said = site.command("queue", "edit", third, "--with", str(mended))
    assert said.code == 0
    [row] = site.command("queue", "show", "--of", "inbox", "--json", said.out.strip()).json()
    assert inbox_text(row["edited_from"]) == third
    assert f"edited: {said.out.strip()}" in site.command("queue", "show", "--of", "inbox", third).out
    mended.write_bytes(MAIL)
    assert site.command("queue", "edit", fourth, "--with", str(mended)).code == 1
    monkeypatch.setattr(click, "edit", lambda text, **_: text + "by hand\n")
    assert site.command("queue", "edit", fourth).code == 0
    [fifth] = quarantined(site, b"\xff\xfe")
    monkeypatch.setattr(click, "edit", lambda text, **_: None)
    assert site.command("queue", "edit", fifth).code == 1
    assert site.command("verify").code == 0


def test_a_mail_in_the_outbox_is_held_retried_or_dropped(site) -> None:
    [waiting] = quarantined(site, MAIL)
    site.command("queue", "retry", "--of", "quarantine", waiting)
    site.start()
    site.settle()
    assert site.stop() == 0
    for text in ("first", "second"):
        assert site.command("ticket", "act", "1001", "reply", "--text", text).code == 0
    first, second = sorted(each["id"] for each in site.command("queue", "list", "--of", "outbox", "--state", "queued", "--json").json())
    assert "is due at" in site.command("queue", "why", "--of", "outbox", first).out
    assert site.command("queue", "show", "--of", "outbox", "--raw", first).code == 1
    assert site.command("queue", "hold", first).code == 0
    assert "is held by a person" in site.command("queue", "why", "--of", "outbox", first).out
    assert site.command("queue", "retry", "--of", "outbox", first).code == 0
    assert site.command("queue", "drop", "--of", "outbox", second, "--reason", "not needed").code == 0
    assert "was never to be sent: dropped: not needed" in site.command("queue", "why", "--of", "outbox", second).out


class TestWhenSomethingGoesWrong:
    """The boundary of the command line."""

    def boom(self, monkeypatch, error: BaseException) -> None:
        @click.command("boom")
        def command() -> None:
            raise error

        monkeypatch.setattr(cli, "get_command", lambda context, name: command)

    def test_a_bug_is_told_in_a_sentence(self, monkeypatch, say) -> None:
        self.boom(monkeypatch, ZeroDivisionError("by zero"))
        said = say("check")
        assert said.code == 1
        assert "this should not happen: ZeroDivisionError: by zero" in said.err
        assert "Traceback" not in said.err

    def test_its_traceback_is_shown_when_asked_for(self, monkeypatch, say) -> None:
        monkeypatch.setenv("TRIAGED_DEBUG", "1")
        self.boom(monkeypatch, Permanent("no"))
        said = say("check")
        assert "Traceback" in said.err
        assert "triaged: no" in said.err

    def test_an_interrupt_is_told(self, monkeypatch, say) -> None:
        self.boom(monkeypatch, KeyboardInterrupt())
        assert say("check").code == 130

    def test_a_reader_that_goes_away_is_no_error(self) -> None:
        command = f"{sys.executable} -m triaged config example | head -c 10"
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, cwd=Path(__file__).parents[2])
        assert b"Traceback" not in done.stderr

    def test_an_error_of_click_is_shown_as_it_is(self, monkeypatch, say) -> None:
        self.boom(monkeypatch, click.ClickException("plain"))
        assert say("check").code == 1

    def test_main_exits_with_the_code(self, monkeypatch) -> None:
        monkeypatch.setattr(sys, "argv", ["triaged", "--version"])
        with pytest.raises(SystemExit) as found:
            main.main()
        assert found.value.code == 0


def test_a_stranger_that_owns_one_of_our_names_keeps_the_daemon_from_starting(monkeypatch) -> None:
    assert ownership.strangers({"store": ["triaged", "Triaged"], "itsm": []}) == {}
    assert ownership.strangers({"store": ["other-store", "triaged"]}) == {"store": "other-store"}
    monkeypatch.setattr("triaged.run.strangers", lambda: {"store": "other-store"})
    monkeypatch.setattr("triaged.checkup.strangers", lambda: {"store": "other-store"})
    with pytest.raises(Permanent, match="store \\(by other-store\\)"):
        run_daemon(None, None)  # type: ignore[arg-type]  # the guard comes first
    assert examine("/nowhere.toml")[0].state == "FAIL"


def states(site) -> dict[str, str]:
    return {each["name"]: each["state"] for each in site.command("doctor", "--json").json()}


class TestTheDoctor:
    """What it finds when there is something to find."""

    def test_a_configuration_with_findings(self, site) -> None:
        site.configure("[dsk]\n")
        said = site.command("doctor")
        assert said.code == 1
        assert "FAIL  configuration" in said.out
        assert "1 of 2 checks failed." in said.err

    def test_a_directory_that_others_read_and_secrets_that_everybody_reads(self, site) -> None:
        (site.directory / "var").mkdir(mode=0o755)
        (site.directory / "secret").write_text("x")
        (site.directory / "secret").chmod(0o644)
        site.configure('[[intake.source]]\nname = "a"\ntoken_file = "secret"\n')
        found = states(site)
        assert found["data directory"] == "WARN"
        assert found["secrets"] == "WARN"

    def test_a_directory_that_cannot_be_written(self, site, monkeypatch) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
        assert states(site)["data directory"] == "FAIL"
        (site.directory / "var").mkdir(mode=0o700)
        assert states(site)["data directory"] == "FAIL"

    def test_a_database_of_a_newer_triaged(self, site) -> None:
        site.command("db", "upgrade")
        store = Store(StoreSettings(path=str(site.directory / "var")), clock=clock.now)
        store.write(lambda tx: tx.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999_future'")).result()
        store.close()
        assert states(site)["database"] == "FAIL"

    def test_a_certificate_that_is_none_and_one_that_is_over(self, site) -> None:
        (site.directory / "cert").write_text("nonsense")
        site.configure()
        site.file.write_text(site.file.read_text().replace("[intake.smtp]", '[intake.smtp]\ntls_certificate_file = "cert"'))
        assert states(site)["tls"] == "FAIL"
        done = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key",
            "-out",
            "cert",
            "-days",
            "3",
            "-subj",
            "/CN=x",
        ]
        subprocess.run(done, cwd=site.directory, check=True, capture_output=True)
        text = site.file.read_text().replace('tls_certificate_file = "cert"', 'tls_certificate_file = "cert"\ntls_key_file = "key"')
        site.file.write_text(text)
        assert states(site)["tls"] == "WARN"

    def test_a_relay_that_answers_and_one_that_does_not(self, site, free_port) -> None:
        port = free_port()
        site.configure(f'[notifier.relay]\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\n')
        assert states(site)["relay"] == "FAIL"
        for line, state in ((b"250 hello\r\n", "ok"), (b"500 no\r\n", "FAIL")):
            with relay(port, line):
                assert states(site)["relay"] == state


class relay:  # noqa: N801 -- reads as a sentence
    """A relay that greets once."""

    def __init__(self, port: int, answer: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> None:
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 relay\r\n")
            while line := lines.readline():
                connection.sendall(b"221 bye\r\n" if line.startswith(b"QUIT") else self._answer)

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(5)
