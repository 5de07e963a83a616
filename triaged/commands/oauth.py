"""`triaged oauth`: log in for a mailbox or relay that takes tokens, and look at the tokens."""

import time

import click

from itsm.errors import Permanent
from store import oauth_tokens
from triaged import clock
from triaged.access import opened
from triaged.oauth.issuer import Issuer, wait_for_person
from triaged.oauth.settings import OauthSettings
from triaged.options import config_option, json_option
from triaged.output import data, data_json, table, talk


@click.group("oauth", short_help="Log in for mailboxes and relays that take tokens.")
@config_option
def command() -> None:
    """Log in by a code on another device, and look when tokens end."""


@command.command("login")
@config_option
@click.argument("name")
def login(name: str) -> int:
    """Log in for the `[[oauth]]` NAME: shows a code to type on another device, and waits until you have agreed."""
    with opened(create=True) as (store, found):
        settings = _named(found.configuration.oauth, name)
        if settings.grant != "device_code":
            raise Permanent(f'{name!r} has grant = "{settings.grant}", which needs no login')
        issuer = Issuer(settings, clock.now)
        asked = issuer.begin_device_login()
        talk(f"Open {asked.verification_uri} and type the code {asked.user_code}")
        began = clock.monotonic()
        token = wait_for_person(issuer, asked, sleep=time.sleep, elapsed_seconds=lambda: clock.monotonic() - began)
        if token.refresh_token is None:
            talk("The issuer gave no refresh token: the login ends with this token. Ask for the scope offline_access.")
        store.write(lambda tx: oauth_tokens.keep(tx, name, token)).result()
    data(f"{name}: logged in, the token lasts until {token.expires_at:%Y-%m-%d %H:%M} UTC")
    return 0


@command.command("list")
@config_option
@json_option
def list_(as_json: bool) -> int:
    """List what is configured, and when its token ends. No token is shown."""
    with opened(create=True) as (store, found):
        rows = []
        for settings in found.configuration.oauth:
            name = settings.name
            token = store.read(lambda tx, name=name: oauth_tokens.find(tx, name))  # type: ignore[misc]  # a default binds the name
            rows.append({"name": name, "grant": settings.grant, "expires_at": token.expires_at if token else None})
    if as_json:
        for row in rows:
            data_json(row)
    elif rows:
        data(table(("name", "grant", "token ends"), [tuple(row.values()) for row in rows]))
    else:
        talk("No [[oauth]] is configured.")
    return 0


def _named(configured: tuple[OauthSettings, ...], name: str) -> OauthSettings:
    for each in configured:
        if each.name == name:
            return each
    raise Permanent(f"there is no [[oauth]] named {name!r}; there is: {', '.join(each.name for each in configured) or 'none'}")
