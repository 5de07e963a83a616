"""swaks, the SMTP test tool, at the SMTP door."""

import subprocess


def swaks(site, *arguments, sender="ana@example.org", recipient="help@localhost"):
    server = f"127.0.0.1:{site.daemon.smtp_port}"
    command = ["swaks", "--server", server, "--from", sender, "--to", recipient, "--helo", "client.example.org", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


def test_a_mail_becomes_a_ticket_and_is_acknowledged(site):
    done = swaks(site, "--header", "Subject: The printer is broken", "--body", "It prints nothing.")
    assert done.returncode == 0, done.stdout
    assert "250 2.0.0 accepted as in-" in done.stdout
    (ticket,) = site.until(lambda: site.objects("ticket", "list"))
    assert ticket["subject"] == "The printer is broken"
    assert site.until(lambda: any("ana@example.org" in each for each in site.relay.recipients.values()))


def test_a_pipelined_mail_with_an_attachment_is_kept_whole(site, tmp_path):
    file = tmp_path / "report.bin"
    file.write_bytes(bytes(range(256)) * 40)
    done = swaks(site, "--pipeline", "--header", "Subject: See attached", "--attach", f"@{file}")
    assert done.returncode == 0, done.stdout
    assert site.until(lambda: site.objects("ticket", "list"))


def test_an_unknown_recipient_is_refused_with_an_enhanced_code_and_nothing_is_kept(site):
    done = swaks(site, recipient="nobody@elsewhere.example")
    assert done.returncode == 24  # swaks: an error at RCPT
    assert "550 5.7.1" in done.stdout or "550 5.1.1" in done.stdout
    assert site.objects("ticket", "list") == []


def test_a_mail_over_the_limit_is_refused_as_too_big(site, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(b"x" * 76 + b"\n")
    big.write_bytes((b"x" * 76 + b"\n") * 350_000)
    done = swaks(site, "--body", f"@{big}")
    assert done.returncode != 0
    assert "552 5.3.4" in done.stdout
