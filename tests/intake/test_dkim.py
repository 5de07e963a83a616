"""DKIM of mail from our own door: keys by a real DNS answer on loopback, signatures made by keys of the tests (RFC 6376)."""

import asyncio
import base64
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import FrameType
from typing import Any

import dkim
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from intake import settings, signing_keys
from intake.child import ParseRequest, ParseResult, parse_one
from intake.mail import signature
from intake.mail.signature import names_of_keys, signed_by
from intake.settings import IntakeSettings, SmtpSettings, refusals
from intake.signing_keys import SigningKeys, signing_keys_of
from itsm.address import Address
from itsm.envelope import MAIL_FORMAT, Channel
from itsm.errors import Permanent
from itsm.signal import UserMessage
from rules.authentication import TrustSettings, trust_of
from rules.contact_form import from_the_person
from tests.intake.nameserver import Nameserver
from tests.rules.worlds import NOW, envelope

NAME = "key1._domainkey.corp.example"
MAIL = (
    b"From: Ana <ana@corp.example>\r\nTo: help@corp.example\r\nSubject: Printer\r\nDate: Mon, 23 Mar 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@corp.example>\r\n\r\nIt is  broken. \r\n\r\nAna\r\n\r\n"
)
SIGNED = [b"from", b"to", b"subject", b"date", b"message-id"]
STRANGER = envelope(peer="203.0.113.9")


@cache
def key(bits: int = 2048) -> tuple[bytes, bytes]:
    """A private key in PEM and the record of its public one."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    public = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def signed(mail: bytes = MAIL, *, domain: bytes = b"corp.example", headers: list[bytes] = SIGNED, **options: Any) -> bytes:
    given: dict[str, Any] = {"canonicalize": (b"relaxed", b"relaxed"), "include_headers": headers} | options
    made: bytes = dkim.sign(mail, b"key1", domain, key()[0], **given)
    return made + mail


def keys() -> dict[str, bytes]:
    return {NAME: key()[1]}


@pytest.mark.parametrize("form", [(b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"relaxed", b"simple"), (b"simple", b"relaxed")])
def test_a_signature_of_the_from_domain_is_verified(form: tuple[bytes, bytes]) -> None:
    mail = signed(canonicalize=form)
    assert names_of_keys(mail) == (NAME,)
    assert signed_by(mail, keys()) == "corp.example"
    assert signed_by(b"Received: from a by b; now\r\nReturn-Path: <ana@corp.example>\r\n" + mail, keys()) == "corp.example"


def changed(*pairs: tuple[bytes, bytes]) -> bytes:
    mail = signed()
    for old, new in pairs:
        assert old in mail
        mail = mail.replace(old, new, 1)
    return mail


FORGED: dict[str, bytes] = {
    "the body was changed": changed((b"broken", b"fine!!")),
    "a line was added to the body": signed() + b"#close\r\n",
    "the subject was changed": changed((b"Subject: Printer", b"Subject: [INC-1001]")),
    "another From stands above": b"From: boss@corp.example\r\n" + signed(),
    "another From stands below": changed((b"To: help", b"From: boss@corp.example\r\nTo: help")),
    "the same From stands twice": b"From: Ana <ana@corp.example>\r\n" + signed(),
    "From has two addresses": signed(MAIL.replace(b"Ana <ana@corp.example>", b"ana@corp.example, eve@evil.example")),
    "another Subject stands above": b"Subject: [INC-1001]\r\n" + signed(),
    "a reference was added that is not signed": b"In-Reply-To: <x@corp.example>\r\n" + signed(),
    "Subject is not signed": signed(headers=[b"from", b"date", b"message-id"]),
    "the domain of another signed it": signed(domain=b"evil.example"),
    "the domain above signed it": signed(domain=b"example"),
    "a domain that ends alike signed it": signed(domain=b"xcorp.example"),
    "a subdomain signed it": signed(domain=b"mail.corp.example"),
    "only a part of the body is signed": signed(length=True) + b"more\r\n",
    "it has no signature": MAIL,
    "its signature is no signature": b"DKIM-Signature: v=1; d=corp.example\r\n" + MAIL,
    "its signature is cut": changed((b"; h=", b"; h")),
    "its algorithm is SHA-1": changed((b"a=rsa-sha256", b"a=rsa-sha1")),
    "a line in its header is no field": b"no field\r\n" + signed(),
    "its header is too long": b"X: " + b"x" * 70_000 + b"\r\n" + signed(),
    "its signature is too long": changed((b"DKIM-Signature: ", b"DKIM-Signature: z=" + b"x" * 9_000 + b"; ")),
    "its signature is full of blanks": changed((b"DKIM-Signature: ", b"DKIM-Signature: " + b" " * 200)),
}


@pytest.mark.parametrize("name", FORGED)
def test_nothing_else_counts(name: str) -> None:
    records = keys() | {f"key1._domainkey.{each}": key()[1] for each in ("evil.example", "example", "xcorp.example", "mail.corp.example")}
    assert signed_by(FORGED[name], records) == ""


@pytest.mark.parametrize(
    "record",
    [b"", b"v=DKIM1; p=", b"v=DKIM1; k=rsa; p=AAAA", b"v=DKIM9; p=x", b"\xff", b"v=DKIM1; t=y; " + key()[1][9:], b"v=DKIM1; t=s:y; " + key()[1][9:], key(1024)[1]],
)  # fmt: skip
def test_a_key_that_is_none_or_another_or_under_test_verifies_nothing(record: bytes) -> None:
    assert signed_by(signed(), {NAME: record}) == ""
    assert signed_by(signed(), {}) == ""


def test_a_mail_that_was_signed_and_expired_counts_no_more() -> None:
    mail = changed((b" v=1;", b" v=1; x=1000000000;"))
    assert signed_by(mail, keys()) == ""


def test_one_of_several_signatures_is_enough_and_three_are_looked_at() -> None:
    mail = signed(signed(domain=b"list.example"))
    assert signed_by(mail, keys()) == "corp.example"
    wrong = b"".join(
        b"DKIM-Signature: v=1; a=rsa-sha256; d=corp.example; s=k%d; h=from:to:subject:date:message-id; b=AAAA; bh=AAAA\r\n" % at
        for at in range(3)
    )
    assert len(names_of_keys(wrong + signed())) == 3
    assert signed_by(wrong + signed(), keys()) == ""


def calls_for(work: Callable[[], object]) -> int:
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.timeout(60)
def test_a_body_of_blanks_is_verified_in_linear_time() -> None:
    """The library alone takes the square of them, which for these would be hours: the time limit of the test ends it."""
    mail = signed()[:-2] + (b" " * 1_000_000 + b"x\r\n") * 3
    assert signed_by(mail, keys()) == ""
    few, many = (calls_for(lambda size=size: signed_by(signed() + b"a b\r\n" * size, keys())) for size in (5_000, 20_000))
    assert many <= 4.5 * few


@pytest.mark.parametrize(
    ("raw", "keys_"), [(b"", {"x": b"y"}), (b"\n\n", {"x": b"y"}), (b"\xff" * 100, {"x": b"y"}), (b" a\r\n\r\n", {"x": b"y"})]
)
def test_any_octets_are_looked_at(raw: bytes, keys_: dict[str, bytes]) -> None:
    assert signed_by(raw, keys_) == ""
    assert names_of_keys(raw) == ()


@pytest.fixture
def nameserver() -> Iterator[Nameserver]:
    silent = frozenset({f"late{at}.example" for at in range(300)})
    made = Nameserver({NAME: [key()[1]], "two.example": [b"a", b"b"], "long.example": [b"x" * 3_000], "none.example": []}, silent)
    yield made
    made.close()


def test_keys_come_from_dns_once_and_what_is_not_there_is_missing(nameserver: Nameserver) -> None:
    wanted = [NAME, "two.example", "none.example", "nowhere.example", NAME]

    async def twice() -> tuple[dict[str, bytes], dict[str, bytes]]:
        looked = SigningKeys(timeout_seconds=30.0, nameservers=(nameserver.address,))
        first = await looked.find(wanted)
        nameserver.silent = frozenset({NAME})
        return first, await looked.find([NAME])

    assert asyncio.run(twice()) == ({NAME: key()[1]}, {NAME: key()[1]}), "the second time the answer is remembered"
    nameserver.silent = frozenset()
    assert asyncio.run(_find(nameserver, wanted, seconds=30.0)) == {NAME: key()[1]}


def test_a_nameserver_that_says_nothing_holds_a_batch_up_for_its_time_and_no_longer(nameserver: Nameserver) -> None:
    names = [NAME, *(f"late{at}.example" for at in range(300))]
    assert asyncio.run(_find(nameserver, names, seconds=2.0)).get(NAME) in (None, key()[1])
    assert len(set(nameserver.asked)) <= signing_keys.MAX_NAMES


async def _find(server: Nameserver, names: list[str], *, seconds: float) -> dict[str, bytes]:
    looked = SigningKeys(timeout_seconds=seconds, nameservers=(server.address,))
    found = await looked.find(names)
    assert await looked.find([]) == {}
    return found


def parsed(raw: bytes, records: dict[str, bytes]) -> UserMessage:
    request = ParseRequest(format=MAIL_FORMAT, source="smtp", received_at=NOW, return_path="a@b.example", body=raw, keys=records)
    (part,) = msgspec.msgpack.decode(parse_one(msgspec.msgpack.encode(request)), type=ParseResult).parts
    assert isinstance(part, UserMessage)
    return part


def test_what_was_verified_is_level_1_where_nobody_else_vouches() -> None:
    mail, plain = parsed(signed(), keys()), parsed(signed(), {})
    assert (mail.signed_by, plain.signed_by) == ("corp.example", "")
    assert trust_of(mail, STRANGER, TrustSettings()).level == 1
    assert trust_of(plain, STRANGER, TrustSettings()).level == 0
    listed = TrustSettings(authserv_ids=("mx.corp.example",), handed_over_from=("203.0.113.0/24",), senders_of_login={"app": ()})
    assert trust_of(mail, STRANGER, listed).level == 0, "who hands it over says what it is"
    assert trust_of(mail, envelope(login="app", peer="203.0.113.9"), listed).level == 0
    assert trust_of(mail, envelope(channel=Channel.HTTP, peer=""), TrustSettings()).level == 0
    other = msgspec.structs.replace(mail, sender=Address(address="eve@evil.example"))
    assert trust_of(other, STRANGER, TrustSettings()).level == 0


def test_a_contact_form_gives_nobody_the_trust_of_its_signature() -> None:
    form = signed(MAIL.replace(b"Subject:", b"Reply-To: boss@corp.example\r\nSubject:"))
    person = from_the_person(parsed(form, keys()), ("ana@corp.example",))
    assert person.sender == Address(address="boss@corp.example")
    assert trust_of(person, STRANGER, TrustSettings()).level == 0


def test_it_is_off_by_default_and_asks_for_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert signing_keys_of(SmtpSettings()) is None
    on = SmtpSettings(dkim=True, dkim_nameservers=("127.0.0.1", "127.0.0.1:5353", "[::1]:53", "::1"))
    assert isinstance(signing_keys_of(on), SigningKeys)
    assert refusals(IntakeSettings(smtp=on)) == []
    monkeypatch.setattr(settings, "is_installed", lambda: False)
    monkeypatch.setattr(signing_keys, "RESOLVER", None)
    monkeypatch.setattr(signature, "dkim", None)
    assert not signature.is_installed()
    assert signed_by(signed(), keys()) == ""
    (refusal,) = refusals(IntakeSettings(smtp=on))
    assert (refusal.path, refusal.hint) == ("intake.smtp.dkim", "pip install 'triaged[mailauth]', or dkim = false")
    with pytest.raises(Permanent, match="mailauth"):
        signing_keys_of(on)


@pytest.mark.parametrize("written", ["ns.example", "127.0.0.1:x", "", "127.0.0.1:99999", "ns.example:53"])
def test_what_is_no_nameserver_is_refused(written: str) -> None:
    (refusal,) = refusals(IntakeSettings(smtp=SmtpSettings(dkim_nameservers=(written,))))
    assert refusal.path == "intake.smtp.dkim_nameservers.0"
