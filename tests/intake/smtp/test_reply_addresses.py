"""The SMTP door takes mail to reply addresses of the desk, and to nothing that only looks like one."""

import pytest

from intake.settings import SmtpSettings
from intake.smtp.policy import policy_of, takes
from itsm.token import ReplyToken, mint_reply
from tests.rules.worlds import DESK

TOKEN = mint_reply(((1, b"k" * 32),), ReplyToken(ticket_number=1042, grant=7))
POLICY = policy_of(SmtpSettings(), DESK, {})


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        (f"help+{TOKEN}@corp.example", True),
        (f"HELP+{TOKEN.upper()}@Corp.Example", True),
        (f"help+{TOKEN[:-1]}@corp.example", False),
        (f"other+{TOKEN}@corp.example", False),
        (f"help+{TOKEN}@evil.example", False),
        (f"help{TOKEN}@corp.example", False),
        ("help@corp.example", True),
    ],
)
def test_which_addresses_are_taken(address, taken):
    assert takes(POLICY, address, DESK.domain) == taken
