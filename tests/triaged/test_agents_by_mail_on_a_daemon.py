"""An agent answers by mail on a running daemon: SMTP in, children, files, and what lies in the folder of outgoing mail."""

import email
import email.policy
from email.message import EmailMessage

from tests.triaged.conftest import Site

TRUSTED = {"TRIAGED__INTAKE__TRUSTED_AUTHSERV_IDS": '["mx.example.org"]', "TRIAGED__INTAKE__SMTP__TRUSTED_NETWORKS": '["127.0.0.1"]'}
RESULTS = "Authentication-Results: mx.example.org; dmarc=pass header.from=example.org\n"


def outgoing(site: Site) -> list[EmailMessage]:
    files = sorted((site.directory / "var" / "outbox").glob("*.eml"))
    return [email.message_from_bytes(each.read_bytes(), policy=email.policy.default) for each in files]


def to(site: Site, address: str) -> list[EmailMessage]:
    return [each for each in outgoing(site) if address in str(each["To"])]


def test_an_agents_answer_with_a_file_reaches_the_requester(site: Site) -> None:
    site.start(**TRUSTED)
    site.mail("From: Ana <ana@example.com>\nTo: desk@example.org\nSubject: Printer\nMessage-ID: <a1@example.com>\n\nIt jams.\n")
    site.until(lambda: len(to(site, "ana@example.com")) == 1)
    assert site.command("ticket", "act", "INC-1001", "assign", "--set", "assignee=ben").code == 0
    (acknowledged,) = to(site, "ana@example.com")
    reference = f"In-Reply-To: {acknowledged['Message-ID']}\n"
    site.mail(
        f"From: Ana <ana@example.com>\nTo: desk@example.org\nSubject: Re: Printer\nMessage-ID: <a2@example.com>\n{reference}\nAny news?\n"
    )
    site.until(lambda: len(to(site, "ben@example.org")) == 1)
    (notice,) = to(site, "ben@example.org")
    address = notice["Reply-To"].addresses[0].addr_spec
    assert address.startswith("desk+")
    text = "#pending customer\n\nSee the plan.\n\nOn Monday Test Desk wrote:\n> --- Reply above this line ---\n> Ana wrote\n"
    site.mail(
        f"{RESULTS}From: Ben <ben@example.org>\nTo: {address}\nSubject: Re: Printer\nMessage-ID: <b1@example.org>\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\n'
        f'{text}\n--b\nContent-Type: text/csv\nContent-Disposition: attachment; filename="plan.csv"\n\na,b\n--b--\n',
        sender="ben@example.org",
        recipient=address,
    )
    site.until(lambda: len(to(site, "ana@example.com")) == 2)
    answer = to(site, "ana@example.com")[-1]
    words = answer.get_body(("plain",))
    assert words is not None
    assert words.get_content().startswith("See the plan.")
    assert "Reply above" not in answer.as_string()
    assert [(each.get_filename(), each.get_content().strip()) for each in answer.iter_attachments()] == [("plan.csv", "a,b")]
    assert answer["In-Reply-To"]
    site.until(lambda: len(to(site, "ben@example.org")) == 2)
    assert str(to(site, "ben@example.org")[-1]["Subject"]).startswith("[INC-1001] Done")
    (ticket,) = site.command("ticket", "list", "--json").json()
    assert (ticket["state"], ticket["pending_reason"]) == ("pending", "customer")


def test_people_are_imported_shown_and_their_tickets_entered(site: Site) -> None:
    site.start()
    (site.directory / "organisations.csv").write_text("key,name,domains\nacme,Acme Ltd,acme.example\n")
    (site.directory / "people.csv").write_text("address,name,aliases,organisation,vip\nana@acme.example,Ana,a@mail.example,acme,yes\n")
    people = str(site.directory / "people.csv")
    assert "1 changes would be made" in site.command("people", "import", str(site.directory / "organisations.csv")).err
    assert site.command("people", "import", str(site.directory / "organisations.csv"), "--apply").code == 0
    assert site.command("people", "import", people, "--apply", "--json").json()[0]["kind"] == "added"
    assert "0 changes written" in site.command("people", "import", people, "--apply").err
    assert "Ana" in site.command("people", "list", "--organisation", "acme", "--vip").out
    assert site.command("people", "list", "--json").json()[0]["address"] == "ana@acme.example"
    assert "nobody" in site.command("people", "list", "--organisation", "none").err
    (site.directory / "newer.csv").write_text("address,organisation\nbo@acme.example,acme\n")
    newer = ("people", "import", str(site.directory / "newer.csv"), "--absent", "detach")
    assert [each["kind"] for each in site.command(*newer, "--json").json()] == ["added", "detached"]
    assert "2 changes written" in site.command(*newer, "--apply").err
    assert "bo@acme.example" in site.command("people", "list", "--organisation", "acme").out
    assert "nobody" in site.command("people", "list", "--organisation", "acme", "--vip").err
    assert site.command("people", "import", people, "--apply", "--json").json()[0]["kind"] == "changed"
    entered = site.command("ticket", "new", "--for", "a@mail.example", "--text", "Called.", "Phone: no network")
    assert entered.out.strip() == "INC-1001"
    assert site.command("ticket", "new", "--quiet", "--json", "Walk-in").json()[0]["number"] == "INC-1002"
    assert "INC-1001" in site.command("people", "show", "A@mail.example").out
    assert site.command("people", "show", "A@mail.example", "--json").json()[0]["tickets"][0]["requester"] == "ana@acme.example"
    assert "nobody is known" in site.command("people", "show", "x@y.example").err
    assert "0 reply addresses of ben revoked" in site.command("people", "revoke", "ben", "--ticket", "INC-1001").err
    assert "no ticket number" in site.command("people", "revoke", "ben", "--ticket", "x").err
    assert "Signing key 2 mints" in site.command("token", "rotate").err
    assert "one that mints" in site.command("token", "rotate", "--retire", "2").err
    assert "verifies no more" in site.command("token", "rotate", "--retire", "1").err
    assert "no signing key 1 in use" in site.command("token", "rotate", "--retire", "1").err
    (site.directory / "bad.csv").write_bytes(b"address\n\xff\n")
    assert "not UTF-8" in site.command("people", "import", str(site.directory / "bad.csv")).err
    (site.directory / "bad.csv").write_text("address\nnobody\n")
    refused = site.command("people", "import", str(site.directory / "bad.csv"), "--apply")
    assert "line 2: 'nobody' is no mail address" in refused.err
    assert refused.code == 1
