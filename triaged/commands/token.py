"""`triaged token`: API tokens for agents, sources and operators, and the keys that sign reply addresses."""

from datetime import timedelta

import click

from store.credentials import SCOPES, create_token, list_tokens, retire_signing_key, revoke_token, rotate_signing_key
from triaged import clock
from triaged.access import opened
from triaged.configuration import Configuration
from triaged.options import config_option, json_option
from triaged.output import data, data_json, instant, table, talk

OPERATOR = "operator"


@click.group("token", short_help="Make, list and revoke API tokens; rotate signing keys.")
@config_option
def command() -> None:
    """Make, list and revoke API tokens. A token is shown once, when it is made; the store keeps its hash."""


@command.command("create")
@config_option
@json_option
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="What it may do; give it several times.")
@click.option(
    "--as", "acts_as", default=OPERATOR, show_default=True, metavar="WHO", help="Whom it acts as: operator, agent:KEY or source:NAME."
)
@click.option("--days", type=click.IntRange(1), help="It expires after this many days; else never.")
@click.argument("name")
def create(name: str, scopes: tuple[str, ...], acts_as: str, days: int | None, as_json: bool) -> int:
    """Make a token called NAME and print it, the only time it is seen."""
    with opened(create=True) as (store, found):
        _check_actor(acts_as, found.configuration)
        expires_at = clock.now() + timedelta(days=days) if days else None
        secret = store.write(lambda tx: create_token(tx, name, scopes=scopes, acts_as=acts_as, expires_at=expires_at)).result()
    if as_json:
        data_json({"name": name, "token": secret, "scopes": scopes, "acts_as": acts_as, "expires_at": expires_at})
    else:
        talk(f"The token {name!r} acts as {acts_as}. Keep it safe: it is not shown again.")
        data(secret)
    return 0


def _check_actor(acts_as: str, configuration: Configuration) -> None:
    kind, _, name = acts_as.partition(":")
    known = {
        "agent": {each.key for each in configuration.agent},
        "source": {each.name for each in configuration.intake.source},
    }
    if acts_as != OPERATOR and name not in known.get(kind, ()):
        names = ", ".join([OPERATOR, *(f"{each}:{key}" for each, keys in known.items() for key in sorted(keys))])
        raise click.BadParameter(f"{acts_as!r} is nobody the configuration knows; known: {names}", param_hint="--as")


@command.command("list")
@config_option
@json_option
def list_(as_json: bool) -> int:
    """List the tokens, newest first, without their secrets."""
    with opened(create=True) as (store, _):
        tokens = store.read(list_tokens)
    if as_json:
        for token in tokens:
            data_json(token)
        return 0
    rows = [
        (token.name, token.acts_as, instant(token.created_at), instant(token.expires_at), instant(token.revoked_at), " ".join(token.scopes))
        for token in tokens
    ]
    data(table(("name", "acts as", "made", "expires", "revoked", "scopes"), rows)) if rows else talk("There is no token.")
    return 0


@command.command("revoke")
@config_option
@click.argument("name")
def revoke(name: str) -> int:
    """End the token called NAME at once."""
    with opened() as (store, _):
        found = store.write(lambda tx: revoke_token(tx, name)).result()
    talk(f"The token {name!r} works no more." if found else f"There is no token {name!r} that works; see `triaged token list`.")
    return 0 if found else 1


@command.command("rotate")
@config_option
@click.option("--retire", type=click.IntRange(1, 255), metavar="ID", help="Instead let this older key verify no more.")
def rotate(retire: int | None) -> int:
    """Make a new signing key for reply addresses and Message-IDs; older ones go on verifying until they are retired.

    A running daemon takes it at its next start.
    """
    with opened() as (store, _):
        if retire is not None:
            store.write(lambda tx: retire_signing_key(tx, retire)).result()
            talk(f"Signing key {retire} verifies no more.")
            return 0
        made = store.write(rotate_signing_key).result()
    talk(f"Signing key {made} mints from the next start on; `triaged token rotate --retire ID` ends an older one when its mails are old.")
    return 0
