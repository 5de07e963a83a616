"""The SMTP relay: every stage at which it can say no, say nothing, or go away (F46 to F50, A72)."""

import threading

import pytest

from notifier.relay import MAX_ON_ONE_CONNECTION, Relay, stuffed
from notifier.submit import Deferred, Delivered, Rejected

MESSAGE = b"Subject: hello\r\n\r\n.a dot\r\n..two\r\nend\r\n"
BOUNCES = "bounces+token@corp.example"
ANA = "ana@corp.example"


@pytest.fixture
def submit(relay, relay_settings):
    """Submit one mail to a relay with this script; gives the result and the relay."""

    def work(script=None, *extensions, reverse_path=BOUNCES, recipient=ANA, message=MESSAGE, **fields):
        server = relay(script, *extensions)
        client = Relay(relay_settings(server.port, **fields), local_hostname="desk.corp.example")
        result = client.submit("name", reverse_path, recipient, message)
        client.close()
        return result, server

    return work


def test_a_mail_is_delivered_byte_for_byte(submit):
    result, server = submit()
    assert result == Delivered(reply="250 2.0.0 queued as 42")
    (taken,) = server.taken
    assert taken.content == MESSAGE
    assert (taken.mail, taken.rcpt) == (f"MAIL FROM:<{BOUNCES}>", f"RCPT TO:<{ANA}>")
    assert server.commands[0] == "EHLO desk.corp.example".replace("EHLO", "ehlo")


def test_a_content_without_a_last_line_end_gets_one_and_its_dots_are_doubled():
    assert stuffed(b".x\r\n.") == b"..x\r\n..\r\n"
    assert stuffed(b"x\r\n") == b"x\r\n"


def test_the_connection_is_kept_and_renewed_after_many_mails(relay, relay_settings):
    server = relay()
    client = Relay(relay_settings(server.port), local_hostname="desk")
    for _ in range(MAX_ON_ONE_CONNECTION + 1):
        assert isinstance(client.submit("n", BOUNCES, ANA, MESSAGE), Delivered)
    client.close()
    assert server.connections == 2
    assert server.commands.count("rset") == MAX_ON_ONE_CONNECTION - 1


def test_a_connection_that_the_relay_closed_while_idle_is_opened_again(relay, relay_settings):
    server = relay({"rset": ["421 4.4.2 idle too long"]})
    client = Relay(relay_settings(server.port), local_hostname="desk")
    results = [client.submit("n", BOUNCES, ANA, MESSAGE) for _ in range(2)]
    client.close()
    assert [type(each) for each in results] == [Delivered, Delivered]
    assert server.connections == 2


def test_a_connection_cut_while_idle_is_opened_again(relay, relay_settings):
    server = relay({"rset": ["cut"]})
    client = Relay(relay_settings(server.port), local_hostname="desk")
    results = [client.submit("n", BOUNCES, ANA, MESSAGE) for _ in range(2)]
    client.close()
    assert [type(each) for each in results] == [Delivered, Delivered]


def test_ready_looks_once_and_the_mail_after_it_does_not_look_again(relay, relay_settings):
    server = relay()
    client = Relay(relay_settings(server.port), local_hostname="desk")
    for _ in range(2):
        assert client.ready() is None
        assert isinstance(client.submit("n", BOUNCES, ANA, MESSAGE), Delivered)
    client.close()
    assert server.commands.count("rset") == 1


def test_nobody_listening_is_unreachable(relay_settings, free_port):
    client = Relay(relay_settings(free_port()), local_hostname="desk")
    assert "cannot use the relay 127.0.0.1" in client.ready()
    result = client.submit("n", BOUNCES, ANA, MESSAGE)
    assert isinstance(result, Deferred)
    assert result.unreachable
    assert not result.uncertain
    client.abort()
    client.close()


@pytest.mark.parametrize("stage", ["connect", "ehlo"])
@pytest.mark.parametrize("reply", ["421 4.3.2 busy", "554 5.3.2 go away", "cut"])
def test_a_relay_that_does_not_greet_is_unreachable_whatever_it_says(submit, stage, reply):
    script = {stage: reply} | ({"helo": reply} if stage == "ehlo" else {})
    result, server = submit(script)
    assert isinstance(result, Deferred)
    assert result.unreachable
    assert server.taken == []


def test_a_relay_silent_at_the_greeting_is_unreachable(submit):
    result, _ = submit({"connect": "silence"}, connect_timeout_seconds=0.1)
    assert isinstance(result, Deferred)
    assert result.unreachable


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_a_temporary_no_at_any_stage_is_tried_again(submit, stage):
    result, server = submit({stage: "451 4.7.1 greylisted"})
    assert result == Deferred(error="451 4.7.1 greylisted")
    assert server.taken == []


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_a_permanent_no_at_any_stage_is_final(submit, stage):
    result, server = submit({stage: "550 5.1.1 no such user"})
    assert result == Rejected(error="550 5.1.1 no such user")
    assert server.taken == []


@pytest.mark.parametrize(("stage", "unreachable"), [("mail", True), ("rcpt", False), ("data", False), ("dot", False)])
def test_a_relay_that_closes_is_to_blame_only_before_it_heard_of_the_mail(submit, stage, unreachable):
    result, _ = submit({stage: "421 4.3.2 closing"})
    assert result == Deferred(error="421 4.3.2 closing", unreachable=unreachable)


@pytest.mark.parametrize(("stage", "unreachable"), [("mail", True), ("rcpt", False), ("data", False)])
@pytest.mark.parametrize("fault", ["cut", "silence"])
def test_a_connection_lost_before_the_final_dot_is_certain(submit, stage, unreachable, fault):
    result, server = submit({stage: fault}, timeout_seconds=0.2)
    assert isinstance(result, Deferred)
    assert (result.unreachable, result.uncertain) == (unreachable, False)
    assert server.taken == []


@pytest.mark.parametrize("fault", ["cut", "silence", "hello?"])
def test_no_answer_to_the_final_dot_is_uncertain(submit, fault):
    result, server = submit({"dot": fault})
    assert isinstance(result, Deferred)
    assert (result.unreachable, result.uncertain) == (False, True)
    assert [each.content for each in server.taken] == [MESSAGE]


def test_a_loss_on_quit_changes_nothing(submit):
    result, _ = submit({"quit": "cut"})
    assert isinstance(result, Delivered)


@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_a_missing_login_is_our_fault_and_kills_no_mail(submit, stage):
    result, _ = submit({stage: "530 5.7.0 authentication required"})
    assert result == Deferred(error="530 5.7.0 authentication required", unreachable=True)


def test_a_word_that_is_no_reply_is_not_taken_for_yes(submit):
    result, _ = submit({"mail": "hello?"})
    assert isinstance(result, Deferred)
    assert result.unreachable


def test_an_automatic_response_asks_for_no_report_where_the_relay_can(submit):
    _, server = submit(None, "DSN", reverse_path="")
    assert (server.taken[0].mail, server.taken[0].rcpt) == ("MAIL FROM:<>", f"RCPT TO:<{ANA}> NOTIFY=NEVER")
    _, server = submit(None, reverse_path="")
    assert server.taken[0].rcpt == f"RCPT TO:<{ANA}>"
    _, server = submit(None, "DSN")
    assert server.taken[0].rcpt == f"RCPT TO:<{ANA}>"


def test_the_size_is_told_where_the_relay_asks(submit):
    _, server = submit(None, "SIZE 1000000")
    assert server.taken[0].mail == f"MAIL FROM:<{BOUNCES}> SIZE={len(MESSAGE)}"


def test_an_address_beyond_ascii_goes_only_to_a_relay_that_takes_it(submit):
    result, server = submit(None, "SMTPUTF8", "8BITMIME", recipient="jörg@corp.example")
    assert isinstance(result, Delivered)
    assert server.taken[0].mail == f"MAIL FROM:<{BOUNCES}> BODY=8BITMIME SMTPUTF8"
    assert server.taken[0].rcpt == "RCPT TO:<jörg@corp.example>"
    result, server = submit(None, "8BITMIME", recipient="jörg@corp.example")
    assert isinstance(result, Rejected)
    assert server.taken == []


def test_a_domain_beyond_ascii_needs_nothing_of_the_relay(submit):
    _, server = submit(recipient="ana@müller.example")
    assert server.taken[0].rcpt == "RCPT TO:<ana@xn--mller-kva.example>"


def test_an_address_that_would_add_a_command_is_refused_before_it_is_sent(submit):
    result, server = submit(recipient="a@b.example>\r\nRCPT TO:<c@d.example")
    assert isinstance(result, Rejected)
    assert server.connections == 0


def test_starttls_checks_the_certificate_and_logs_in(submit, tmp_path, certificate_file):
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    result, server = submit(
        None,
        "STARTTLS",
        "AUTH PLAIN",
        host="localhost",
        tls="starttls",
        ca_file=certificate_file,
        login="desk",
        password_file=str(password),
    )
    assert isinstance(result, Delivered)
    verbs = [each.split(" ")[0].lower() for each in server.commands]
    assert verbs[:4] == ["ehlo", "starttls", "ehlo", "auth"]


def test_implicit_tls_is_spoken_from_the_first_octet(relay, relay_settings, certificate_file):
    server = relay(implicit_tls=True)
    client = Relay(relay_settings(server.port, tls="implicit", ca_file=certificate_file), local_hostname="desk")
    assert isinstance(client.submit("n", BOUNCES, ANA, MESSAGE), Delivered)
    client.close()


def test_a_certificate_that_nobody_vouches_for_stops_us(submit):
    result, server = submit(None, "STARTTLS", tls="starttls")
    assert isinstance(result, Deferred)
    assert result.unreachable
    assert "CERTIFICATE_VERIFY_FAILED" in result.error
    assert server.taken == []


def test_a_stripped_offer_of_tls_stops_us(submit):
    result, server = submit(tls="starttls")
    assert isinstance(result, Deferred)
    assert result.unreachable
    assert server.taken == []


def test_a_relay_that_takes_back_its_offer_of_tls_stops_us(submit, certificate_file):
    result, server = submit({"starttls": "454 4.7.0 not now"}, "STARTTLS", tls="starttls", ca_file=certificate_file)
    assert isinstance(result, Deferred)
    assert result.unreachable
    assert server.taken == []


def test_a_password_is_never_sent_in_the_clear(submit, tmp_path):
    password = tmp_path / "password"
    password.write_text("s3cret")
    result, server = submit(None, "AUTH PLAIN", login="desk", password_file=str(password))
    assert isinstance(result, Deferred)
    assert "without TLS it is not sent" in result.error
    assert not any("auth" in each.lower() for each in server.commands)


def test_a_refused_login_and_a_missing_password_file_are_unreachable(submit, certificate_file, tmp_path):
    password = tmp_path / "password"
    password.write_text("wrong")
    fields = {"tls": "starttls", "ca_file": certificate_file, "login": "desk"}
    result, _ = submit({"auth": "535 5.7.8 no"}, "STARTTLS", "AUTH PLAIN", password_file=str(password), **fields)
    assert result == Deferred(error=result.error, unreachable=True)
    assert "535 5.7.8 no" in result.error
    result, _ = submit(None, "STARTTLS", "AUTH PLAIN", password_file=str(tmp_path / "none"), **fields)
    assert result == Deferred(error=result.error, unreachable=True)


def test_abort_brings_back_a_wait_for_the_final_answer(relay, relay_settings):
    server = relay({"dot": "silence"})
    client = Relay(relay_settings(server.port, data_timeout_seconds=60.0), local_hostname="desk")
    results = []
    thread = threading.Thread(target=lambda: results.append(client.submit("n", BOUNCES, ANA, MESSAGE)))
    thread.start()
    while not server.taken:
        thread.join(0.01)
    client.abort()
    thread.join()
    assert results[0].uncertain
    client.abort()


def test_abort_of_a_connection_that_is_gone_already_is_no_error(relay, relay_settings):
    server = relay({"quit": "cut"})
    client = Relay(relay_settings(server.port), local_hostname="desk")
    assert client.ready() is None
    client.abort()
    client.abort()
    client.close()


@pytest.mark.parametrize(
    ("host", "tls", "encryption"),
    [
        ("127.0.0.1", "auto", "none"),
        ("::1", "auto", "none"),
        ("localhost", "auto", "none"),
        ("relay.corp.example", "auto", "starttls"),
        ("192.0.2.1", "auto", "starttls"),
        ("localhost", "implicit", "implicit"),
        ("relay.corp.example", "none", "none"),
    ],
)
def test_auto_means_tls_for_every_relay_but_one_on_this_machine(relay_settings, host, tls, encryption):
    assert relay_settings(25, host=host, tls=tls).encryption == encryption
