"""`triaged doctor` connects and logs in at a real Dovecot, and says what is wrong when it cannot."""

from tests.intake.imap.tables import mailbox_table
from tests.interop.conftest import Site
from tests.interop.dovecot import Dovecot, dovecot

__all__ = ["dovecot"]


def test_doctor_says_what_it_saw_at_each_mailbox(dovecot: Dovecot, site: Site) -> None:
    folder = site.daemon.folder
    (folder / "right").write_text(dovecot.password)
    (folder / "wrong").write_text("guess")
    moves = {"after": "move", "move_to": "Nowhere"}
    with site.daemon.configuration.open("a") as file:
        for name, secret, more in (("good", "right", {}), ("refused", "wrong", {}), ("nowhere", "right", moves)):
            file.write(mailbox_table(dovecot.port, name=name, login="ana", password_file=secret, **more))
    found = {each["name"]: each for each in site.objects("doctor")}
    assert (found["mailbox good"]["state"], found["mailbox good"]["message"]) == ("ok", "INBOX: next UID 1")
    assert found["mailbox refused"]["state"] == "FAIL"
    assert "refuses the login" in found["mailbox refused"]["message"]
    assert "'Nowhere'" in found["mailbox nowhere"]["message"]
