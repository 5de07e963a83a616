"""A DKIM signature that we verify ourselves is level 1: its writer may do what a requester may, and nobody else."""

import pytest

from intake.signing_keys import SigningKeys
from tests.intake.nameserver import Nameserver
from tests.intake.test_dkim import MAIL, NAME, key, signed

ABOUT = MAIL.replace(b"Subject: Printer", b"Subject: Re: [INC-1001] Printer").replace(b"<1@", b"<2@")


@pytest.fixture
def nameserver():
    made = Nameserver({NAME: [key()[1]]})
    yield made
    made.close()


@pytest.mark.parametrize(("verified", "signs"), [(True, True), (False, True), (True, False)])
def test_a_number_in_the_subject_counts_for_a_participant_whose_signature_holds(desk, mail, nameserver, verified, signs):
    desk.put(mail())
    desk.triage()

    def keys():
        return SigningKeys(timeout_seconds=30.0, nameservers=(nameserver.address,)) if verified else None

    where = desk.put(signed(ABOUT) if signs else ABOUT, later=60)
    desk.triage(signing_keys=keys())
    assert desk.inbox(where).outcomes == ("A" if verified and signs else "C")
    (part,) = desk.parts(where)
    assert part.reasons.trust == (1 if verified and signs else 0)
    assert set(nameserver.asked) == ({NAME} if verified and signs else set())  # a question may be asked again when the answer is slow


def test_mail_of_a_login_and_alerts_are_not_asked_about(desk, mail, nameserver):
    desk.put(signed(MAIL), login="app")
    desk.triage(signing_keys=SigningKeys(timeout_seconds=30.0, nameservers=(nameserver.address,)))
    assert nameserver.asked == []
