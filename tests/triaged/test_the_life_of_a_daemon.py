"""Start, reload, drain, crash: what the process does and which exit code it leaves."""

import signal
import socket
import stat

REPORT = "From: Ana <ana@example.com>\nTo: desk@example.org\nSubject: It is broken\nMessage-ID: <{}@example.com>\n\nIt is broken.\n"
RULE = """
[[rules.rule]]
key = "reloaded"
when = { subject = { contains = "broken" } }
tags = ["reloaded"]
"""


def test_a_first_start_leaves_a_token_that_only_its_owner_reads(site) -> None:
    site.start()
    token = site.directory / "var" / "admin.token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
    assert site.request("GET", "/api/v1/tickets", headers=headers)[0] == 200
    assert "the administrator's token is in" in site.log.read_text()
    assert token.read_text().strip() not in site.log.read_text()
    assert site.stop() == 0
    assert site.lines()[-1]["event"] == "ended"


def test_a_reload_takes_the_new_rules_and_keeps_the_old_when_the_new_are_bad(site) -> None:
    site.start()
    assert site.metric("triaged_config_reload_success") == 1
    site.configure(RULE)
    site.process.send_signal(signal.SIGHUP)
    site.until(lambda: any(line["event"] == "configuration reloaded" for line in site.lines()))
    site.mail(REPORT.format("one"))
    site.settle()
    assert site.command("ticket", "list", "--json").json()[0]["tags"] == ["reloaded"]
    site.configure(RULE + "\n[dsk]\n")
    site.process.send_signal(signal.SIGHUP)
    site.until(lambda: site.metric("triaged_config_reload_success") == 0)
    assert site.command("ticket", "list").code == 3
    site.mail(REPORT.format("two"))
    site.configure()
    site.settle()
    assert [each["tags"] for each in site.command("ticket", "list", "--json").json()] == [["reloaded"], ["reloaded"]]
    told = next(line for line in site.lines() if line["event"].startswith("configuration not reloaded"))
    assert "did you mean 'desk'?" in told["error"]
    assert site.stop(signal.SIGINT) == 0


def test_a_port_that_is_taken_is_told_and_nothing_is_left_locked(site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", site.smtp))
        taken.listen()
        site.start(ready=False)
        assert site.process.wait(20) == 4
        assert "cannot listen for SMTP" in site.log.read_text()
        assert "Traceback" not in site.log.read_text()
        assert any(each["name"] == "port smtp" and each["state"] == "FAIL" for each in site.command("doctor", "--json").json())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", site.http))
        taken.listen()
        site.start(ready=False)
        assert site.process.wait(20) == 4
        assert f"cannot listen on 127.0.0.1:{site.http}" in site.log.read_text()
    assert site.command("db", "upgrade").code == 0


def test_a_configuration_with_findings_does_not_start(site) -> None:
    site.configure("[dsk]\n")
    site.start(ready=False)
    assert site.process.wait(20) == 3
    assert "did you mean 'desk'?" in site.log.read_text()


def test_a_daemon_that_was_killed_goes_on_where_it_was(site) -> None:
    site.start(TRIAGED_CRASH_AT="triage.claimed")
    accepted = site.mail(REPORT.format("one"))
    assert site.process.wait(20) == -signal.SIGKILL
    assert site.command("queue", "why", "--of", "inbox", accepted).out.startswith(f"{accepted} waits for triage")
    site.start()
    site.settle()
    assert [each["number"] for each in site.command("ticket", "list", "--json").json()] == ["INC-1001"]
    assert site.command("verify").code == 0
    assert site.stop() == 0


def test_probes_may_be_bound_apart_and_http_may_be_off(site, free_port) -> None:
    apart = free_port()
    site.configure(f'[process]\nmetrics_listen = "127.0.0.1:{apart}"\n')
    site.start(ready=False)
    site.until(lambda: site.command("healthcheck").code == 0)
    assert site.request("GET", "/healthz", port=apart)[0] == 200
    assert site.request("GET", "/healthz")[0] == 404
    assert site.stop() == 0
    text = (
        site.file.read_text()
        .replace("[intake.http]", "[intake.http]\nenabled = false")
        .replace("[intake.smtp]", "[intake.smtp]\nenabled = false")
    )
    site.file.write_text(text)
    site.start(ready=False)
    site.until(lambda: site.command("healthcheck").code == 0)
    assert site.command("doctor").code == 0
    assert site.stop() == 0
    site.file.write_text(text.replace(f'metrics_listen = "127.0.0.1:{apart}"', 'metrics_listen = ""'))
    assert "there is nothing to ask" in site.command("healthcheck").err


def test_a_disk_that_is_nearly_full_makes_it_not_ready_and_says_why(site) -> None:
    site.configure()
    site.file.write_text(site.file.read_text().replace("[store]", "[store]\nminimum_free_bytes = 1000000000000000"))
    site.start(ready=False)
    site.until(lambda: site.command("healthcheck").code == 1)
    said = site.command("healthcheck")
    assert "MiB of disk are free" in said.out
    assert any(each["name"] == "disk" and each["state"] == "FAIL" for each in site.command("doctor", "--json").json())
    assert any(each["name"] == "daemon" and each["state"] == "WARN" for each in site.command("doctor", "--json").json())
    assert site.stop() == 0
