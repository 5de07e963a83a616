"""The commands on a store in PostgreSQL, and those that say what to use instead."""

import pytest

from itsm.errors import Permanent
from store.credentials import list_tokens
from store.store import Store
from triaged import clock, first_start
from triaged.roles import EVERY, roles_of

pytestmark = pytest.mark.postgres_only("it speaks of [store.postgres]")


@pytest.fixture
def on_postgres(site, make_place):
    """A site whose store is an empty database."""
    url = make_place(empty=True).postgres.url
    site.configure(f'[store.postgres]\nurl = "{url}"\n')
    return site


def test_check_doctor_status_and_upgrade_speak_of_the_database(on_postgres):
    assert on_postgres.command("check").code == 0
    assert "no database yet" in on_postgres.command("db", "status").out
    assert on_postgres.command("db", "upgrade").code == 0
    assert "newest" in on_postgres.command("db", "status").out
    states = {each["name"]: each["state"] for each in on_postgres.command("doctor", "--json").json()}
    assert (states["database"], states["durability"]) == ("ok", "WARN")  # the server of the tests runs with fsync = off
    assert on_postgres.command("verify").code == 0


def test_backup_and_restore_name_the_tools_of_postgresql(on_postgres, tmp_path):
    told = on_postgres.command("backup", str(tmp_path / "b"))
    assert (told.code, "pg_dump" in told.err) == (1, True)
    told = on_postgres.command("restore", str(tmp_path))
    assert (told.code, "pg_restore" in told.err) == (1, True)


def test_a_store_is_moved_by_command(site, make_place):
    assert site.command("db", "move").code == 1
    site.command("db", "upgrade")
    url = make_place(empty=True).postgres.url
    site.configure(f'[store.postgres]\nurl = "{url}"\n')
    moved = site.command("db", "move")
    assert (moved.code, "both laws and every chain hold" in moved.err) == (0, True)
    assert site.command("db", "move", "--json").code == 5


def test_a_password_in_the_address_is_a_finding_at_its_line(site):
    site.configure('[store.postgres]\nurl = "postgresql://a:secret@127.0.0.1/x"\n')
    told = site.command("check")
    assert told.code == 3
    assert "password_file" in told.out + told.err
    assert "secret" not in told.out + told.err
    site.configure('[store.postgres]\nurl = "postgresql://a@127.0.0.1:x/x"\n')
    assert "no address" in (told := site.command("check")).out + told.err


def test_a_database_that_does_not_answer_is_a_finding_of_the_doctor(site):
    site.configure('[store.postgres]\nurl = "postgresql://a@127.0.0.1:1/x"\n')
    states = {each["name"]: each["state"] for each in site.command("doctor", "--json").json()}
    assert states["database"] == "FAIL"
    assert site.command("ticket", "list").code == 4


def test_roles_are_named_apart_or_with_commas_and_only_where_the_store_is_shared():
    assert roles_of((), shared=False) == roles_of(("all",), shared=False) == EVERY
    assert roles_of(("doors,triage", "timers"), shared=True) == {"doors", "triage", "timers"}
    with pytest.raises(Permanent, match="there is no role 'door'"):
        roles_of(("door",), shared=True)
    with pytest.raises(Permanent, match="on SQLite one process does everything"):
        roles_of(("doors",), shared=False)


def test_a_role_on_sqlite_is_a_wrong_use_of_the_command(site):
    told = site.command("run", "--role", "doors")
    assert (told.code, "on SQLite" in told.err) == (2, True)


def test_of_two_replicas_that_start_at_the_same_moment_one_makes_the_token_and_neither_ends(make_place, monkeypatch):
    place = make_place()
    one, two = Store(place, clock=clock.now), Store(place, clock=clock.now)
    made = []

    def seen_before_the_other_made_it(tx):
        seen = list_tokens(tx)
        if not made:
            monkeypatch.undo()
            made.append(first_start.ensure_admin_token(two))
        return seen

    monkeypatch.setattr(first_start, "list_tokens", seen_before_the_other_made_it)
    try:
        assert first_start.ensure_admin_token(one) is None
        assert made == [two.directory / first_start.TOKEN_FILE]
        assert [each.name for each in one.read(list_tokens)] == ["admin"]
    finally:
        one.close()
        two.close()
