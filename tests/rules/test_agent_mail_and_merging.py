"""The corners of agents' mails, merges, watchers and requesters' commands, as pure judgements."""

from datetime import timedelta

import pytest

from itsm.act import Act, Actor, ActorKind, Verb
from itsm.address import Address
from itsm.decision import AddEntry, ChangeTicket, Direction, KeepFollower, Notify, OpenTicket, ReviseEntry, SpendBudget, Visibility
from itsm.grant import Grant, Role
from itsm.lifecycle import Illegal
from itsm.notification import Event
from itsm.person import Follower, FollowerKind
from itsm.signal import Attachment
from itsm.ticket import State
from rules.acts import decide_act
from rules.agent_mail import own_words, sendable
from rules.authentication import TrustVerdict
from rules.budget import notice_key
from rules.following import MAX_WATCHERS
from rules.mail import decide_mail
from rules.merging import MAX_MERGES, survivor
from rules.snapshot import ActSnapshot, MailSnapshot, Referenced, ReplyTo, Said
from tests.rules.worlds import NOW, WITH_AGENTS, effects, envelope, mail, ruleset, ticket

RULES = ruleset()
BEN = Actor(kind=ActorKind.AGENT, name="ben", trust=2)
GRANT = Grant(id=5, ticket_number=1042, person="ben", role=Role.AGENT, expires_at=NOW + timedelta(days=1))


def act(verb, found=None, snapshot=None, *, actor=BEN, text="", **arguments):
    asked = Act(verb=verb, ticket_number=1042, actor=actor, text=text, arguments=arguments)
    return decide_act(asked, found or ticket(), ruleset=RULES, desk=WITH_AGENTS, now=NOW, snapshot=snapshot or ActSnapshot())


def answer(text, *, found=None, rules=RULES, snapshot=None, **fields):
    found = found or ticket()
    message = mail(sender=Address(name="Ben", address="ben@corp.example"), reply_text=text, text=text, **fields)
    known = snapshot or MailSnapshot()
    known = MailSnapshot(
        reply_to=ReplyTo(ticket_number=1042, ticket=found, grant=GRANT), around=known.around, budgets_used=known.budgets_used
    )
    return decide_mail(
        message,
        envelope(),
        known,
        participants_sha256=b"",
        trust=TrustVerdict(level=1, reason=""),
        ruleset=rules,
        desk=WITH_AGENTS,
        now=NOW,
    )


def asks(text, *, trust=1, snapshot=None, minted=True, **fields):
    message = mail(reply_text=text, text=text, **fields)
    known = snapshot or MailSnapshot(
        referenced=(Referenced(message_id="ours@d", ticket=ticket(), minted_for_sender=minted, participant=minted),)
    )
    return decide_mail(
        message,
        envelope(),
        known,
        participants_sha256=b"",
        trust=TrustVerdict(level=trust, reason=""),
        ruleset=RULES,
        desk=WITH_AGENTS,
        now=NOW,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Yes.\n\nOn Monday Service Desk wrote:\n> --- Reply above this line ---\n> secret", "Yes."),
        ("Yes.\n--- Reply above this line ---\nsecret", "Yes."),
        ("On Monday, Desk <help+abc@corp.example>\nwrote:\n--- Reply above this line ---\nsecret", ""),
        ("Yes.\n\nFrom: Desk\nTo: Ben <ben@corp.example>\n\n--- Reply above this line ---\nsecret", "Yes."),
        ("> quoted\nYes.\n> REPLY ABOVE THIS LINE", "Yes."),
        ("--- reply above this line ---", ""),
        ("Plain words", "Plain words"),
    ],
)
def test_what_is_ours_is_cut_from_an_agents_words(text, words):
    assert own_words(mail(reply_text=text)) == words


def file(size_bytes, *, inline=False):
    return Attachment(filename="a.png", content_type="image/png", size_bytes=size_bytes, sha256="", inline=inline)


def test_files_go_with_the_answer_but_logos_do_not():
    files = (file(100), file(9_999, inline=True), file(50_000, inline=True))
    assert [each.size_bytes for each in sendable(mail(attachments=files))] == [100, 50_000]
    (reply,) = [each for each in effects(answer("See the file.", attachments=files), Notify) if each.event is Event.REPLY]
    assert len(reply.files) == 2


def test_files_over_the_limit_send_nothing_and_a_note_may_have_them():
    rules = ruleset(attachments_limit_bytes=99)
    refused = answer("See the file.", rules=rules, attachments=(file(100),))
    assert refused.reasons.code == "agent_mail_refused"
    assert "100 bytes" in refused.reasons.sentence
    assert answer("#note\nSee the file.", rules=rules, attachments=(file(100),)).reasons.code == "agent_mail"


def test_a_status_alone_is_answered_and_changes_nothing():
    decision = answer("#status")
    (result,) = effects(decision, Notify)
    assert (result.event, result.facts["state_now"]) == (Event.COMMAND_RESULT, "new")
    assert effects(decision, ChangeTicket) == []


def test_one_mail_splits_off_one_ticket():
    said = Said(
        id=9, author="di@corp.example", author_name="Di", direction=Direction.INBOUND, visibility=Visibility.PUBLIC, subject="", text="x"
    )
    around = MailSnapshot(around={1: ActSnapshot(said=(said,))})
    assert answer("#split\n#split", snapshot=around).reasons.code == "agent_mail_refused"
    assert len(effects(answer("#split", snapshot=around), OpenTicket)) == 1


def test_the_result_is_not_mailed_when_the_budget_is_used_up():
    key = notice_key("ben@corp.example", RULES.settings, NOW)
    decision = answer("#start", snapshot=MailSnapshot(budgets_used={(key.key, key.window_start): key.limit}))
    (result,) = [each for each in effects(decision, Notify) if each.event is Event.COMMAND_RESULT]
    assert result.suppressed_because is not None
    assert key.key not in [each.key for each in effects(decision, SpendBudget)]
    assert effects(decision, ChangeTicket)


def test_a_mail_without_sender_or_id_is_held_all_the_same():
    message = mail(sender=None, message_id=None, reply_text="#resolve")
    known = MailSnapshot(reply_to=ReplyTo(ticket_number=1042, ticket=ticket(), grant=GRANT))
    decision = decide_mail(
        message,
        envelope(),
        known,
        participants_sha256=b"",
        trust=TrustVerdict(level=0, reason=""),
        ruleset=RULES,
        desk=WITH_AGENTS,
        now=NOW,
    )
    assert effects(decision, AddEntry)[0].visibility is Visibility.HELD
    assert effects(decision, Notify)[0].references == ()


def test_a_note_on_a_closed_ticket_is_legal_and_lists_what_is():
    decision = answer("Hello again", found=ticket(state=State.CLOSED))
    (result,) = effects(decision, Notify)
    assert result.facts["legal"].startswith("#status, ")
    assert "#take" not in result.facts["legal"]


@pytest.mark.parametrize(("address", "says"), [("ana@corp.example", "is the requester"), ("help@corp.example", "address of the desk")])
def test_some_addresses_never_watch(address, says):
    refused = act(Verb.WATCH, address=address)
    assert isinstance(refused, Illegal)
    assert says in refused.reason


def test_watchers_are_bounded():
    crowd = tuple(Follower(ticket_id=1, address=f"w{n}@x") for n in range(MAX_WATCHERS))
    assert isinstance(act(Verb.WATCH, snapshot=ActSnapshot(followers=crowd), address="one@more"), Illegal)
    assert effects(act(Verb.WATCH, snapshot=ActSnapshot(followers=crowd), address="w1@x", name="W"), KeepFollower)


def test_only_an_agent_of_the_desk_mutes():
    gone = Actor(kind=ActorKind.AGENT, name="gone", trust=2)
    assert isinstance(act(Verb.MUTE, actor=gone, hours="8"), Illegal)


def held(author="bo@corp.example", id_=9, direction=Direction.INBOUND):
    return Said(id=id_, author=author, author_name="Bo", direction=direction, visibility=Visibility.HELD, subject="s", text="t")


def test_a_held_mail_is_named_by_its_id():
    known = ActSnapshot(said=(held(), held(id_=10)))
    (taken,) = effects(act(Verb.ACCEPT, snapshot=known, entry="9"), ReviseEntry)
    assert (taken.entry_id, taken.visibility, taken.verified) == (9, Visibility.PUBLIC, True)
    assert isinstance(act(Verb.ACCEPT, snapshot=known, entry="8"), Illegal)
    assert isinstance(act(Verb.DROP), Illegal)


def test_what_an_agent_wrote_stays_on_the_desk_when_it_is_taken_in():
    resolved = ticket(state=State.RESOLVED, resolved_at=NOW)
    decision = act(Verb.ACCEPT, resolved, ActSnapshot(said=(held("ben@corp.example"),)))
    assert [each.visibility for each in effects(decision, ReviseEntry)] == [Visibility.INTERNAL]
    assert effects(decision, ChangeTicket) == []


def test_merges_are_followed_eight_deep_and_no_further():
    chain = {number: ticket(id=number, number=number, merged_into=number + 1) for number in range(1, 20)}
    assert survivor(chain[1], chain).number == 1 + MAX_MERGES
    assert survivor(ticket(number=30, merged_into=31), chain).number == 30


def test_a_ticket_of_a_monitor_is_merged_without_telling_anybody():
    other = ticket(id=2, number=7, requester="bo@corp.example")
    watching = ActSnapshot(others={7: other}, followers=(Follower(ticket_id=1, address="bo@corp.example"),))
    decision = act(Verb.MERGE, ticket(requester=""), watching, into="7")
    assert effects(decision, Notify) == effects(decision, KeepFollower) == []


def test_an_undo_works_also_when_the_other_is_gone():
    merged = ticket(state=State.CLOSED, merged_into=7, state_before_merge="new", closed_at=None)
    (change,) = act(Verb.UNMERGE, merged).effects
    assert change.after.state is State.NEW


def test_a_split_without_a_writer_keeps_the_requester_or_tells_nobody():
    said = held("", direction=Direction.INBOUND)
    named = act(Verb.SPLIT, snapshot=ActSnapshot(said=(said,)), subject="Other")
    assert (effects(named, OpenTicket)[0].ticket.requester, effects(named, OpenTicket)[0].ticket.subject) == ("ana@corp.example", "Other")
    nobody = act(Verb.SPLIT, ticket(requester=""), ActSnapshot(said=(said,)))
    assert effects(nobody, Notify) == []
    assert isinstance(act(Verb.SPLIT), Illegal)


def test_a_priority_can_be_set_past_the_matrix():
    (change,) = effects(act(Verb.PRIORITISE, priority="1"), ChangeTicket)
    assert (change.after.priority, change.after.impact, change.after.urgency) == (1, 3, 2)


def test_watchers_are_told_what_the_requester_is_told():
    decision = act(Verb.REPLY, snapshot=ActSnapshot(followers=(Follower(ticket_id=1, address="w@x", name="W"),)), text="Hello")
    assert [(each.recipient.address, each.facts["requester_name"]) for each in effects(decision, Notify)] == [
        ("ana@corp.example", "Ana"), ("w@x", "W"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "trust", "code"),
    [
        ("#status", 0, "status_asked"),
        ("#status\nand more", 1, "appended_by_reply"),
        ("#status\n#solved", 1, "appended_by_reply"),
        ("#solved", 0, "appended_by_reply"),
        ("#solved", 1, "requester_commands"),
        ("#solved\nIt was unplugged", 1, "requester_commands"),
        ("#watch", 1, "appended_by_reply"),
        ("#reopen", 1, "appended_by_reply"),
        ("#take", 1, "appended_by_reply"),
        ("#5 is mine", 1, "appended_by_reply"),
    ],
)
def test_what_is_no_command_of_a_requester_is_words(text, trust, code):
    assert asks(text, trust=trust).reasons.code == code


def test_a_status_is_no_answer_where_none_may_be_sent():
    (notify,) = effects(asks("#status", unanswerable="it came by a list"), Notify)
    assert "by a list" in notify.suppressed_because


def test_a_mute_without_end_mutes():
    endless = ActSnapshot(followers=(Follower(ticket_id=1, address="ben@corp.example", kind=FollowerKind.MUTED),))
    requester = Actor(kind=ActorKind.REQUESTER, trust=1)
    told = effects(act(Verb.REPLY, snapshot=endless, actor=requester, text="more"), Notify)
    assert [each.suppressed_because is None for each in told] == [False, True]
