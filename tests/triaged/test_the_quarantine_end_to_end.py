"""The quarantine beside a daemon that runs: it is seen, its age is measured, and what a person does about it takes effect."""

from tests.triaged.test_commands_without_a_daemon import MAIL, quarantined


def test_what_is_set_aside_is_seen_mended_retried_and_dropped_while_the_daemon_runs(site, tmp_path) -> None:
    site.start()
    first, second, third = quarantined(site, MAIL, 3)
    site.until(lambda: site.metric('triaged_inbox_pending{stage="quarantined"}') == 3)
    site.until(lambda: (site.metric('triaged_inbox_oldest_seconds{stage="quarantined"}') or 0) > 0)
    listed = site.command("queue", "list", "--of", "quarantine", "--json").json()
    assert {(each["id"], each["reason"]) for each in listed} == {(each, "the parser crashed") for each in (first, second, third)}
    assert site.command("queue", "show", "--of", "quarantine", "--raw", first).out.encode().strip() == MAIL.strip()
    (told,) = site.command("explain", "--json", first).json()
    assert (told["doors"][0]["state"], told["doors"][0]["reason"], told["parts"]) == ("quarantined", "the parser crashed", [])
    mended = tmp_path / "mended.eml"
    mended.write_bytes(MAIL.replace(b"broken", b"mended").replace(b"Message-ID: <", b"Message-ID: <mended."))
    new = site.command("queue", "edit", second, "--with", str(mended)).out.strip()
    assert site.command("queue", "retry", "--of", "quarantine", first).code == 0
    assert site.command("queue", "drop", "--of", "quarantine", third, "--reason", "spam").code == 0
    site.settle()
    outcomes = {each: site.command("queue", "show", "--of", "inbox", "--json", each).json()[0] for each in (first, second, third, new)}
    assert [outcomes[each]["state"] for each in (first, second, third, new)] == ["done"] * 4
    assert outcomes[second]["reason"] == f"edited: {new}"
    assert outcomes[third]["reason"] == "dropped: spam"
    for each in (first, new):
        (told,) = site.command("explain", "--json", each).json()
        assert told["parts"][0]["outcome"] == "created", told
    site.until(lambda: site.metric('triaged_inbox_pending{stage="quarantined"}') == 0)
    assert site.command("verify").code == 0
    assert site.stop() == 0
