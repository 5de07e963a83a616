"""Address fields (RFC 5322 3.4) as people and programs write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.mail.addresses import MAX_ADDRESSES, addr_spec, addresses, read_addresses
from tests.intake.mail.mails import message_of


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("ana@example.com", [("", "ana@example.com")]),
        ("Ana Example <ana@example.com>", [("Ana Example", "ana@example.com")]),
        ("<ana@example.com>", [("", "ana@example.com")]),
        ("ana@example.com (Ana)", [("Ana", "ana@example.com")]),
        ('"Example, Ana" <ana@example.com>', [("Example, Ana", "ana@example.com")]),
        ('"say \\"hi\\"" <ana@example.com>', [("say hi", "ana@example.com")]),
        ("Example, Ana <ana@example.com>", [("Ana", "ana@example.com")]),
        ("=?utf-8?Q?M=C3=BCller?= <m@example.de>", [("Müller", "m@example.de")]),
        ("ana@example.com <ana@example.com>", [("ana@example.com", "ana@example.com")]),
        ("a@example.com, b@example.com", [("", "a@example.com"), ("", "b@example.com")]),
        ("a@example.com; b@example.com", [("", "a@example.com"), ("", "b@example.com")]),
        ('Team: a@example.com, "B" <b@example.com>; , c@example.com', [("", "a@example.com"), ("B", "b@example.com"), ("", "c@example.com")]),
        ("undisclosed-recipients:;", []),
        ("<@relay.example:ana@example.com>", [("", "ana@example.com")]),
        ('"System Administrator"@example.com', [("", '"System Administrator"@example.com')]),
        ("ana@[192.0.2.1]", [("", "ana@[192.0.2.1]")]),
        ("ana @ example.com", [("", "ana@example.com")]),
        ("'ana@example.com'", [("", "ana@example.com")]),
        ("Ana <ana@example.com", [("Ana", "ana@example.com")]),
        ("(one (two) three) ana@example.com", [("one (two) three", "ana@example.com")]),
        ("ana@example.com (open", [("open", "ana@example.com")]),
        ('"never closed <ana@example.com>', []),
        ("Ana <ana@example.com> (via Forum)", [("Ana", "ana@example.com")]),
        ("MAILER-DAEMON", []),
        ("MAILER-DAEMON <>", []),
        ("", []),
        ("ends with backslash \"\\", []),
    ],
)  # fmt: skip
def test_fields_are_read_as_meant(written: str, found: list[tuple[str, str]]):
    assert [(each.name, each.address) for each in addresses(written)] == found


@pytest.mark.parametrize(
    "written",
    ["a@good.example]<b@evil.example>", "a@good.example] <b@evil.example>", "<a@b.example><c@d.example>", "<a@b.example> c@d.example", "a@b@c", "@"],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_gives_no_address(written: str):
    assert read_addresses(written) == ((), True, False)


@pytest.mark.parametrize(
    "written", ["Example, Ana <ana@example.com>", "ana@example.com,", "undisclosed-recipients:;", "MAILER-DAEMON", None]
)
def test_sloppy_fields_are_not_doubtful(written: str | None):
    assert read_addresses(written)[1] is False


def test_an_address_hidden_in_an_encoded_word_is_a_name_only():
    [person] = addresses("=?utf-8?Q?Boss_=3Cboss=40example.com=3E=2C?= <evil@example.net>")
    assert person.address == "evil@example.net"
    assert addresses("=?utf-8?q?boss=40example=2Ecom?=") == ()


def test_raw_octets_in_a_name_are_read_by_the_charset_of_the_body():
    raw = "Zażółć <z@example.pl>".encode("iso-8859-2").decode("ascii", "surrogateescape")
    assert addresses(raw, "iso-8859-2")[0].name == "Zażółć"


def test_at_most_a_thousand_addresses_are_read():
    for written, read, cut in ((999, 999, False), (1_000, 1_000, False), (1_001, MAX_ADDRESSES, True), (2_000, MAX_ADDRESSES, True)):
        found = read_addresses(", ".join(f"a{number}@example.com" for number in range(written)))
        assert (len(found.addresses), found.cut) == (read, cut)


@pytest.mark.parametrize("field", ["To", "Cc"])
def test_a_list_that_was_cut_leaves_a_remark(field: str):
    def said(people: int) -> tuple[str, ...]:
        return message_of(f"From: a@b.example\n{field}: {', '.join(f'a{at}@example.com' for at in range(people))}\n\nhi\n".encode()).defects

    assert said(1_000) == ()
    assert said(1_200) == (f"of {field} the first 1000 addresses were read, the rest is only in the raw mail",)
    many = b"From: a@b.example\n" + f"{field}: a@example.com\n".encode() * 60 + b"\nhi\n"
    assert message_of(many).defects == (f"of {field} the first 50 addresses were read, the rest is only in the raw mail",)


def test_a_subject_and_references_that_were_cut_leave_a_remark():
    ids = " ".join(f"<{at}@x>" for at in range(150))
    mail = message_of(f"From: a@b.example\nSubject: {'x' * 2_000}\nReferences: {ids}\n\nhi\n".encode())
    assert mail.defects == ("the subject was read up to 998 characters", "of References the first and the newest 99 were read")
    assert (len(mail.subject), mail.references[0], mail.references[-1]) == (998, "0@x", "149@x")


def test_an_address_is_not_longer_than_smtp_allows():
    assert addr_spec("a" * 64 + "@" + "b" * 255) is not None
    assert addr_spec("a" * 65 + "@example.com") is None
    assert addr_spec("a" * 400 + "@example.com") is None


@given(st.text(alphabet='a@<>()[]",;:\\ \t=?.é\udcff', max_size=200))
def test_any_field_is_read_and_what_comes_out_is_clean(written: str):
    found = read_addresses(written).addresses
    for each in found:
        assert "@" in each.address
        assert not set(each.address) & set("<> \t\r\n") or each.address.startswith('"')
        each.name.encode("utf-8")
        each.address.encode("utf-8")


@given(
    st.lists(
        st.tuples(st.text(alphabet='abc .,<>@"\\', max_size=20), st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}\.example", fullmatch=True)),
        max_size=5,
    )
)
def test_what_is_written_properly_is_read_back(people: list[tuple[str, str]]):
    quoted = [(name.replace("\\", "\\\\").replace('"', '\\"'), address) for name, address in people]
    assert [each.address for each in addresses(", ".join(f'"{name}" <{address}>' for name, address in quoted))] == [
        address for _, address in people
    ]
