"""A replay asks no DNS: it goes by what was verified when the mail was judged, whatever has become of the key since."""

import pytest

from tests.intake.nameserver import Nameserver
from tests.intake.test_dkim import MAIL, NAME, key, signed
from triaged.commands import replay

ABOUT = MAIL.replace(b"Subject: Printer", b"Subject: Re: [INC-1001] Printer").replace(b"<1@", b"<2@")
LATE = MAIL.replace(b"corp.example", b"late.example")
LATE_NAME = "key1._domainkey.late.example"


def text(mail: bytes) -> str:
    return mail.decode().replace("\r\n", "\n")


@pytest.fixture
def nameserver():
    made = Nameserver({NAME: [key()[1]]})
    yield made
    made.close()


@pytest.fixture
def judged(site, nameserver, monkeypatch):
    """Ana's mail and her word on its ticket, both signed; and a signed mail whose key was not there. Then the keys change places."""
    monkeypatch.setenv("TRIAGED__INTAKE__SMTP__DKIM", "true")
    monkeypatch.setenv("TRIAGED__INTAKE__SMTP__DKIM_NAMESERVERS", f'["{nameserver.address}"]')
    monkeypatch.setenv("TRIAGED__INTAKE__SMTP__DKIM_TIMEOUT_SECONDS", "30.0")
    site.start()
    envelopes = []
    for mail in (signed(MAIL), signed(ABOUT), signed(LATE, domain=b"late.example")):
        envelopes.append(site.mail(text(mail)))
        site.settle()
    assert {*nameserver.asked} == {NAME, LATE_NAME}
    nameserver.records = {LATE_NAME: [key()[1]]}
    nameserver.asked.clear()
    yield envelopes
    assert nameserver.asked == []
    assert site.stop() == 0


def test_a_mail_is_judged_by_the_verdict_of_its_day_and_dns_is_not_asked(site, judged):
    first, about, late = judged
    for envelope, outcome, trust, domain in (
        (about, "appended", 1, "corp.example"),
        (first, "created", 1, "corp.example"),
        (late, "created", 0, ""),
    ):
        said = site.command("replay", envelope, "--json")
        (part,) = said.json()
        assert (part["outcome"], part["reasons"]["trust"], part["reasons"]["signed_by"]) == (outcome, trust, domain)
        assert "no verdict" not in said.err
        assert part["reasons"]["signed_by"] == site.command("explain", envelope, "--json").json()[0]["parts"][0]["reasons"]["signed_by"]
    assert "DKIM signature of corp.example" in site.command("explain", about).out


def test_a_mail_of_which_no_verdict_is_kept_is_judged_as_without_a_signature_and_that_is_said(site, judged, monkeypatch):
    monkeypatch.setattr(replay, "verdicts_of", lambda tx, inbox_id: {})
    said = site.command("replay", judged[1], "--json")
    (part,) = said.json()
    assert (part["outcome"], part["reasons"]["trust"]) == ("created", 0)
    assert "has a DKIM signature of which no verdict is kept" in said.err
