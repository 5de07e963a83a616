"""Configuration: what is refused, with which words, on which line; and what wins over what."""

from pathlib import Path

import pytest

from intake.settings import sources_of
from itsm.errors import Permanent
from rules.settings import Rule, RulesSettings
from triaged.composition import casework_of, in_force
from triaged.configuration import Configuration, desk_of
from triaged.findings import ConfigurationInvalid, Finding
from triaged.loading import find_file, load
from triaged.secret import secret_of

KEYS = ((1, b"k" * 32),)


def findings(file: Path, text: str, **environment: str) -> list[Finding]:
    file.write_text(text)
    try:
        load(str(file), environment)
    except ConfigurationInvalid as invalid:
        return list(invalid.findings)
    return []


def only(file: Path, text: str, **environment: str) -> str:
    [found] = findings(file, text, **environment)
    return found.text.replace(str(file), "FILE")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "triaged.toml"


def test_no_configuration_at_all_is_the_safe_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load(None, {})
    assert loaded.configuration == Configuration()
    assert [each.name for each in sources_of(loaded.configuration.intake)] == ["alertmanager", "generic"]
    desk = desk_of(loaded.configuration)
    assert [(team.key, team.addresses, team.notify) for team in desk.teams] == [("desk", (), "")]
    assert desk.domain == "localhost"


def test_the_file_of_the_working_directory_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_file(None) is None
    Path("triaged.toml").write_text('[desk]\nname = "Ours"\n')
    assert load(None, {}).configuration.desk.name == "Ours"
    assert find_file("other.toml") == Path("other.toml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[desk]\nnmae = "x"\n', "FILE:2: desk.nmae: unknown key (did you mean 'name'?)"),
        ("[dsk]\n", "FILE:1: dsk: unknown key (did you mean 'desk'?)"),
        ("[log]\nzzzz = 1\n", "FILE:2: log.zzzz: unknown key (known: format, level)"),
        ("desk = 3\n", "FILE:1: desk: expected a table, got a number (write [desk])"),
        ("[team]\nkey = 'a'\n", "FILE:1: team: expected an array of tables, got a table (write [[team]])"),
        ("[[team]]\nkey = 'a'\n", "FILE:1: team[0]: name is missing (Name as people read it.)"),
        ("[desk]\nname = 5\n", "FILE:2: desk.name: expected a string, got an integer (wants: string)"),
        ("[store]\nqueue_limit = 1\n", "FILE:2: store.queue_limit: expected an integer >= 10 (wants: integer)"),
        ("[rules]\nknown_only = 2020-01-01\n", "FILE:2: rules.known_only: expected true or false, got `date` (wants: true or false)"),
        ("desk = 2020-01-01\n", "FILE:1: desk: expected a table, got a date or time (write [desk])"),
        ("[desk\n", "FILE:1: is not TOML: "),
        ('[desk]\nname = """', "FILE:2: is not TOML: "),
    ],
)
def test_a_mistake_is_told_with_its_line(file: Path, text: str, told: str) -> None:
    assert only(file, text).startswith(told)


def test_everything_wrong_is_told_at_once(file: Path) -> None:
    found = findings(file, '[desk]\nname = 1\nfoo = 2\n[[agent]]\nkey = "A B"\nname = "x"\naddress = "nobody"\n')
    assert [(each.line, each.path) for each in found] == [(3, "desk.foo"), (2, "desk.name"), (5, "agent[0].key"), (7, "agent[0].address")]


def test_a_file_that_cannot_be_read_is_told(file: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="cannot be read: No such file"):
        load(str(file), {})
    file.write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigurationInvalid, match="is not UTF-8"):
        load(str(file), {})
    file.write_text("# " + "x" * 5_000_000)
    with pytest.raises(ConfigurationInvalid, match="is larger than"):
        load(str(file), {})


TEAMS = "[[team]]\nkey = 'network'\nname = 'N'\naddresses = ['n@example.org']\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TEAMS + TEAMS, "FILE:6: team[1].key: another team has the key 'network' (keys are unique)"),
        (
            TEAMS + "[[team]]\nkey = 'b'\nname = 'B'\naddresses = ['N@EXAMPLE.org']\n",
            "FILE:8: team[1].addresses: N@EXAMPLE.org belongs to the team 'network' already (one team an address)",
        ),
        (
            TEAMS + "[[agent]]\nkey='a'\nname='A'\naddress='a@b.c'\nteams=['netwrok']\n",
            "FILE:9: agent[0].teams: there is no team 'netwrok' (did you mean 'network'?)",
        ),
        (TEAMS + "[[service]]\nkey='a'\nname='A'\nteam='zz'\n", "FILE:8: service[0].team: there is no team 'zz' (known: network)"),
        (
            "[[intake.source]]\nname='a'\nservice='vpn'\n",
            "FILE:3: intake.source[0].service: there is no service 'vpn' (add it as [[service]])",
        ),
        (
            "[[agent]]\nkey='a'\nname='A'\naddress='a@b.c'\n[[agent]]\nkey='b'\nname='B'\naddress='b@b.c'\naliases=['A@b.c']\n",
            "FILE:8: agent[1].address: A@b.c belongs to the agent 'a' already (one agent an address)",
        ),
        (
            "[desk]\naddress='a-desk-with-a-long-name@b.c'\n[[agent]]\nkey='a'\nname='A'\naddress='a@b.c'\n",
            "FILE:2: desk.address: the part before the @ is longer than 19 characters: agents could not answer by mail (choose a shorter address, such as help@)",
        ),
        ("[[rules.rule]]\nkey='a'\nteam='x'\n", "FILE:3: rules.rule[0].team: there is no team 'x' (known: desk)"),
        ("[[rules.rule]]\nkey='a'\ntype='x'\n", "FILE:1: rules.rule[0]: rule 'a': type must be incident or service_request"),
        (
            "[rules]\npriority = [[1,2,3],[2,3,4],[3,4,1]]\n",
            "FILE:2: rules.priority: the priority matrix must not fall as impact or urgency fall",
        ),
        (
            "[process]\nmetrics_listen = 'x'\n",
            "FILE:2: process.metrics_listen: 'x' is not an address and port like 127.0.0.1:2525 (write host:port)",
        ),
        (
            "[intake.smtp]\nlisten = '0.0.0.0:25'\n",
            (
                "FILE:2: intake.smtp.listen: SMTP listens beyond loopback and takes mail for nobody "
                "(set addresses of a team, or recipients or domains in [intake.smtp])"
            ),
        ),
        (
            "[notifier.relay]\nhost='r'\npassword_file='gone'\n",
            "FILE:3: notifier.relay.password_file: the file DIR/gone cannot be read (it is looked for beside the configuration and in $CREDENTIALS_DIRECTORY)",
        ),
    ],
)
def test_what_tables_say_of_each_other_is_checked(file: Path, text: str, told: str) -> None:
    assert only(file, text).replace(str(file.parent), "DIR") == told


def test_the_environment_wins_over_the_file(file: Path) -> None:
    file.write_text("[desk]\nname = 'File'\n" + TEAMS)
    environment = {
        "TRIAGED__DESK__NAME": "7",
        "TRIAGED__STORE__QUEUE_LIMIT": "99",
        "TRIAGED__RULES__KNOWN_ONLY": "true",
        "TRIAGED__INTAKE__SMTP__DOMAINS": '["a.org", "b.org"]',
        "TRIAGED__TEAM__0__NAME": "Renamed",
        "TRIAGED__TEAM__1__KEY": "second",
        "TRIAGED__TEAM__1__NAME": "Second",
        "OTHER": "x",
    }
    configuration = load(str(file), environment).configuration
    assert configuration.desk.name == "7"
    assert configuration.store.queue_limit == 99
    assert configuration.rules.known_only is True
    assert configuration.intake.smtp.domains == ("a.org", "b.org")
    assert [team.name for team in configuration.team] == ["Renamed", "Second"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TRIAGED__DSK__NAME", "x", "environment variable TRIAGED__DSK__NAME: names no key of the configuration (did you mean 'desk'?)"),
        ("TRIAGED__DESK", "x", "environment variable TRIAGED__DESK: desk is a table: name a key in it (known: address, domain, name)"),
        ("TRIAGED__DESK__NAME__X", "x", "environment variable TRIAGED__DESK__NAME__X: name is a plain value"),
        (
            "TRIAGED__TEAM__5__KEY",
            "x",
            "environment variable TRIAGED__TEAM__5__KEY: team is an array of tables: name an item by its number, at most 0, and a key in it",
        ),
        ("TRIAGED__STORE__QUEUE_LIMIT", "many", "FILE: store.queue_limit: expected an integer, got a string (wants: integer)"),
    ],
)
def test_a_variable_that_means_nothing_is_refused(file: Path, name: str, value: str, told: str) -> None:
    found = findings(file, "", **{name: value})
    assert [each.text.replace(str(file), "FILE") for each in found] == [told]


def test_a_variable_does_not_hide_what_the_file_has_wrong(file: Path) -> None:
    assert "expected a table" in only(file, "desk = 1\n", TRIAGED__DESK__NAME="x")
    assert "expected an array of tables" in only(file, "team = 1\n", TRIAGED__TEAM__0__KEY="x")


def test_files_of_secrets_are_found_beside_the_file_and_in_the_credentials(file: Path, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (tmp_path / "beside").write_text("one\n")
    (credentials / "given").write_text("two\r\n")
    file.write_text(
        "[[intake.source]]\nname='a'\ntoken_file='beside'\n"
        "[[intake.source]]\nname='b'\nauthentication='hmac'\nhmac_file='given'\n"
        "[[intake.smtp.login]]\nname='l'\npassword_file='beside'\nsenders=['s@example.org']\n"
    )
    loaded = load(str(file), {"CREDENTIALS_DIRECTORY": str(credentials)})
    found = in_force(loaded.configuration, KEYS)
    assert found.secrets["a"].token == "one"
    assert found.secrets["b"].hmac_key == "two"
    assert found.policy.logins == {"l": "one"}
    assert found.casework.trust.senders_of_login == {"l": ("s@example.org",)}


def test_a_file_of_secrets_that_is_empty_or_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(Permanent, match="is empty"):
        secret_of(str(tmp_path / "empty"))
    with pytest.raises(Permanent, match="cannot be read"):
        secret_of(str(tmp_path / "gone"))


def test_a_source_may_override_the_gap_between_episodes(file: Path) -> None:
    file.write_text(
        "[rules]\ngap_seconds = 60\n[[intake.source]]\nname='a'\ngap_seconds=0\n[[intake.source]]\nname='b'\nformat='generic'\n[intake.source.mapping]\nitems='x'\n"
    )
    found = in_force(load(str(file), {}).configuration, KEYS)
    assert found.casework.policy("a").gap_seconds == 0
    assert found.casework.policy("b").gap_seconds == 60
    assert list(found.mappings) == ["b"]


def test_rules_that_were_never_checked_are_refused_at_the_last_moment() -> None:
    with pytest.raises(Permanent, match="rule a"):
        casework_of(Configuration(rules=RulesSettings(rule=(Rule(key="a", type="x"),))), KEYS)
