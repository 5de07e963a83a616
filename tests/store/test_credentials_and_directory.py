"""Signing keys, API tokens and the directory: made once, shown once, and every change of them in a history."""

from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from itsm.errors import Conflict, Permanent, Transient
from itsm.service import Agent, Desk, Service, Team
from store import credentials, directory, history
from store.credentials import ApiToken
from store.store import Store
from store.transaction import Tx


def kinds(store: Store, stream: str) -> list[str]:
    return [each.kind for each in store.read(lambda tx: history.of_stream(tx, stream))]


def test_the_first_signing_key_is_made_at_first_start_and_kept(store: Store) -> None:
    ((key_id, secret),) = store.write(credentials.signing_keys).result(10)
    assert (key_id, len(secret)) == (1, credentials.KEY_BYTES)
    assert store.write(credentials.signing_keys).result(10) == ((1, secret),)
    assert store.read(credentials.signing_keys) == ((1, secret),)
    assert kinds(store, "access") == ["signing_key_made"]


def test_a_read_makes_no_key(store: Store) -> None:
    with pytest.raises(Transient):
        store.read(credentials.signing_keys)


def test_after_a_rotation_the_new_key_mints_and_the_old_one_still_verifies(store: Store) -> None:
    (first,) = store.write(credentials.signing_keys).result(10)
    assert store.write(credentials.rotate_signing_key).result(10) == 2
    keys = store.read(credentials.signing_keys)
    assert [key_id for key_id, _ in keys] == [2, 1]
    assert keys[1] == first
    assert keys[0][1] != first[1]


def test_key_ids_end_at_255(store: Store) -> None:
    def rotate_all(tx: Tx) -> None:
        for _ in range(credentials.MAX_KEY_ID):
            credentials.rotate_signing_key(tx)

    store.write(rotate_all).result(10)
    with pytest.raises(Conflict, match="all 255"):
        store.write(credentials.rotate_signing_key).result(10)


def make(store: Store, name: str = "prometheus", **options: object) -> str:
    known: dict[str, object] = {"scopes": ("alerts:write",), "acts_as": "source:alertmanager"}
    return store.write(lambda tx: credentials.create_token(tx, name, **(known | options))).result(10)  # type: ignore[arg-type]


def known_as(store: Store, secret: str) -> ApiToken | None:
    return store.read(lambda tx: credentials.authenticate(tx, secret))


def test_a_token_authenticates_by_its_secret_which_is_not_stored(store: Store) -> None:
    secret = make(store)
    found = known_as(store, secret)
    assert found is not None
    assert (found.name, found.scopes, found.acts_as) == ("prometheus", ("alerts:write",), "source:alertmanager")
    assert found.may("alerts:write")
    assert not found.may("admin")
    assert secret.startswith(credentials.TOKEN_PREFIX)
    if store.settings.postgres is None:
        assert secret not in store.file.read_bytes().decode("latin-1")
    for wrong in ("", secret[:-1], secret.upper(), "trd_\udcff"):
        assert known_as(store, wrong) is None


def test_admin_may_everything(store: Store) -> None:
    found = known_as(store, make(store, scopes=("admin",), acts_as="operator"))
    assert found is not None
    assert all(found.may(scope) for scope in credentials.SCOPES)


def test_an_expired_token_is_refused(store: Store, clock: Callable[..., object]) -> None:
    secret = make(store, expires_at=store.clock() + timedelta(hours=1))
    assert known_as(store, secret) is not None
    clock.advance(hours=1)  # type: ignore[attr-defined]
    assert known_as(store, secret) is None


def test_a_revoked_token_is_refused_and_its_name_is_free_again(store: Store) -> None:
    secret = make(store)
    with pytest.raises(Conflict, match="there is a token named 'prometheus'"):
        make(store)
    assert store.write(lambda tx: credentials.revoke_token(tx, "prometheus")).result(10)
    assert not store.write(lambda tx: credentials.revoke_token(tx, "prometheus")).result(10)
    assert known_as(store, secret) is None
    assert known_as(store, make(store)) is not None
    listed = store.read(credentials.list_tokens)
    assert [(each.name.split(" ")[0], each.revoked_at is None) for each in listed] == [("prometheus", True), ("prometheus", False)]
    assert kinds(store, "access") == ["token_created", "token_revoked", "token_created"]


def test_a_scope_there_is_not_is_refused(store: Store) -> None:
    with pytest.raises(Permanent, match="no scope 'alerts:delete'"):
        make(store, scopes=("alerts:write", "alerts:delete"))


DESK = Desk(
    teams=(Team(key="it", name="IT"),),
    agents=(Agent(key="ana", name="Ana", address="ana@example.org"),),
    services=(Service(key="it", name="Mail"),),
)


def sync(store: Store, desk: Desk) -> dict[directory.Key, int]:
    return store.write(lambda tx: directory.sync(tx, desk)).result(10)


def test_a_key_keeps_its_row_however_its_name_changes(store: Store) -> None:
    ids = sync(store, DESK)
    assert sorted(ids) == [("agent", "ana"), ("service", "it"), ("team", "it")]
    assert len(set(ids.values())) == 3
    assert sync(store, DESK) == ids
    renamed = msgspec.structs.replace(DESK, teams=(Team(key="it", name="Information technology"),))
    assert sync(store, renamed) == ids
    assert store.read(directory.rows)["team", "it"].name == "Information technology"
    assert kinds(store, "directory") == ["added", "added", "added", "renamed"]


def test_a_key_that_is_no_longer_configured_keeps_its_id_for_its_return(store: Store) -> None:
    ids = sync(store, DESK)
    without = msgspec.structs.replace(DESK, agents=())
    assert ("agent", "ana") not in sync(store, without)
    sync(store, without)
    assert store.read(directory.rows)["agent", "ana"].removed
    assert sync(store, DESK) == ids
    assert not store.read(directory.rows)["agent", "ana"].removed
    assert kinds(store, "directory") == ["added", "added", "added", "removed", "restored"]
    last = store.read(lambda tx: history.of_stream(tx, "directory"))[-1]
    assert last.ids == (ids["agent", "ana"],)
    assert msgspec.json.decode(last.content or b"") == {"kind": "agent", "key": "ana", "name": "Ana"}
