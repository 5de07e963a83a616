"""Ten thousand mails with forged senders: few acknowledgements, and none with their words (attacks A16, A17)."""

from collections import Counter
from datetime import timedelta

import pytest

from itsm.address import Address, domain_of
from itsm.decision import Notify, SpendBudget
from itsm.notification import Event
from rules.authentication import TrustVerdict
from rules.mail import decide_mail
from rules.settings import Budgets
from rules.snapshot import MailSnapshot
from tests.rules.worlds import DESK, NOW, effects, envelope, mail, ruleset

MAILS, WIDE = 10_000, 10**9


@pytest.mark.parametrize("defended", [True, False])
def test_ten_thousand_forged_senders_get_at_most_ten_acknowledgements_a_minute_a_domain(defended):
    rules = ruleset(budgets=Budgets() if defended else Budgets(per_address_hour=WIDE, per_domain_minute=WIDE, total_minute=WIDE))
    used, answered = {}, Counter()
    for count in range(MAILS):
        now = NOW + timedelta(milliseconds=20 * count)
        message = mail(
            message_id=f"{count}@x", sender=Address(address=f"victim{count}@d{count % 3}.example"), subject="Your account is locked"
        )
        decision = decide_mail(
            message, envelope(), MailSnapshot(budgets_used=used), participants_sha256=b"", trust=TrustVerdict(level=0, reason=""),
            ruleset=rules, desk=DESK, now=now,
        )  # fmt: skip
        for each in effects(decision, SpendBudget):
            used[each.key, each.window_start] = used.get((each.key, each.window_start), 0) + 1
        for told in effects(decision, Notify):
            if told.event is Event.ACKNOWLEDGED and told.suppressed_because is None:
                answered[domain_of(told.recipient.address), now.replace(second=0, microsecond=0)] += 1
                assert told.facts["trusted"] == ""  # which keeps every word of theirs out: tests/specifications
    assert (max(answered.values()) <= 10) == defended
