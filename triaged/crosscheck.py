"""What no table can see of itself: names that refer to other tables, names used twice, files, rules, and doors left open."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from intake.settings import host_and_port, refusals
from itsm.address import canonical, local_part_of
from itsm.token import REPLY_CHARACTERS
from rules.ruleset import compile_ruleset
from triaged.configuration import ONE_TEAM, Configuration
from triaged.findings import Finding
from triaged.locate import Path
from triaged.oauth.settings import refusals_of
from triaged.reading import Document, nearest
from triaged.shape import fields_of

MAX_DESK_LOCAL_CHARACTERS = 64 - len("+") - REPLY_CHARACTERS


def crosscheck(document: Document, configuration: Configuration) -> Iterator[Finding]:
    """Every finding between the tables; the values themselves were checked before."""
    yield from _twice(document, configuration)
    yield from _references(document, configuration)
    yield from _people(document, configuration)
    yield from _doors(document, configuration)
    yield from _rules(document, configuration)
    yield from _database(document, configuration)
    yield from _files(document, configuration, ())
    yield from _tokens(document, configuration)


def _tokens(document: Document, configuration: Configuration) -> Iterator[Finding]:
    """Where tokens come from, and who asks for them."""
    names = [each.name for each in configuration.oauth]
    for index, settings in enumerate(configuration.oauth):
        if settings.name in names[:index]:
            yield document.finding(("oauth", index, "name"), f"another [[oauth]] is named {settings.name!r}", "names are unique")
        for refusal in refusals_of(settings):
            yield document.finding(("oauth", index, refusal.key), refusal.message, refusal.hint)
    for index, mailbox in enumerate(configuration.intake.mailbox):
        yield from _known(document, ("intake", "mailbox", index, "oauth"), "oauth", mailbox.oauth, names)
    relay = configuration.notifier.relay
    if relay is not None and relay.oauth:
        yield from _known(document, ("notifier", "relay", "oauth"), "oauth", relay.oauth, names)
        if not relay.login or relay.password_file:
            yield document.finding(("notifier", "relay", "oauth"), "a token goes with a login and without a password", "set login only")


def _twice(document: Document, configuration: Configuration) -> Iterator[Finding]:
    for name in ("team", "agent", "service"):
        seen: dict[str, int] = {}
        for index, item in enumerate(getattr(configuration, name)):
            if item.key in seen:
                yield document.finding((name, index, "key"), f"another {name} has the key {item.key!r}", "keys are unique")
            seen.setdefault(item.key, index)
    owners: dict[str, str] = {}
    for index, team in enumerate(configuration.team):
        for address in team.addresses:
            owner = owners.setdefault(canonical(address), team.key)
            if owner != team.key:
                yield document.finding(
                    ("team", index, "addresses"), f"{address} belongs to the team {owner!r} already", "one team an address"
                )


def _references(document: Document, configuration: Configuration) -> Iterator[Finding]:
    teams = [each.key for each in configuration.team or ONE_TEAM]
    services = [each.key for each in configuration.service]
    for index, agent in enumerate(configuration.agent):
        for key in agent.teams:
            yield from _known(document, ("agent", index, "teams"), "team", key, teams)
    for index, service in enumerate(configuration.service):
        yield from _known(document, ("service", index, "team"), "team", service.team, teams)
    for index, source in enumerate(configuration.intake.source):
        yield from _known(document, ("intake", "source", index, "team"), "team", source.team, teams)
        yield from _known(document, ("intake", "source", index, "service"), "service", source.service, services)
    for index, policy in enumerate(configuration.rules.follow_up):
        here: Path = ("rules", "follow_up", index)
        yield from _known(document, (*here, "team"), "team", policy.team, teams)
        if not _is_time_zone(policy.time_zone):
            yield document.finding((*here, "time_zone"), f"there is no time zone {policy.time_zone!r}", "write one such as Europe/Berlin")
    for index, rule in enumerate(configuration.rules.rule):
        yield from _known(document, ("rules", "rule", index, "team"), "team", rule.team or "", teams)
        yield from _known(document, ("rules", "rule", index, "service"), "service", rule.service or "", services)


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _people(document: Document, configuration: Configuration) -> Iterator[Finding]:
    """An address belongs to one agent, and the desk's own is short enough to carry a reply token (RFC 5321 4.5.3.1.1)."""
    owners: dict[str, str] = {}
    for index, agent in enumerate(configuration.agent):
        for address in (agent.address, *agent.aliases):
            owner = owners.setdefault(canonical(address), agent.key)
            if owner != agent.key:
                yield document.finding(
                    ("agent", index, "address"), f"{address} belongs to the agent {owner!r} already", "one agent an address"
                )
    if configuration.agent and len(local_part_of(configuration.desk.address)) > MAX_DESK_LOCAL_CHARACTERS:
        message = f"the part before the @ is longer than {MAX_DESK_LOCAL_CHARACTERS} characters: agents could not answer by mail"
        yield document.finding(("desk", "address"), message, "choose a shorter address, such as help@")


def _known(document: Document, path: Path, kind: str, key: str, known: Sequence[str]) -> Iterator[Finding]:
    if key and key not in known:
        yield document.finding(path, f"there is no {kind} {key!r}", nearest(key, list(known)) or f"add it as [[{kind}]]")


def _doors(document: Document, configuration: Configuration) -> Iterator[Finding]:
    own = (configuration.desk.address, *(address for team in configuration.team for address in team.addresses))
    for refusal in refusals(configuration.intake, own_addresses=own):
        path = tuple(int(part) if part.isdecimal() else part for part in refusal.path.split("."))
        yield document.finding(path, refusal.message, refusal.hint)
    if configuration.process.metrics_listen:
        try:
            host_and_port(configuration.process.metrics_listen)
        except ValueError as error:
            yield document.finding(("process", "metrics_listen"), str(error), "write host:port")


def _database(document: Document, configuration: Configuration) -> Iterator[Finding]:
    postgres = configuration.store.postgres
    if postgres is None:
        return
    path: Path = ("store", "postgres", "url")
    try:
        parts = urlsplit(postgres.url)
        secret, _ = parts.password, parts.port
    except ValueError as error:
        yield document.finding(path, f"is no address of a database: {error}", "postgresql://user@host:5432/name")
        return
    if secret is not None or "password=" in parts.query:
        yield document.finding(path, "holds a password", "put it into a file and name that as password_file")
    if importlib.util.find_spec("psycopg") is None:
        yield document.finding(("store", "postgres"), "the driver of PostgreSQL is not installed", "pip install 'triaged[postgres]'")


def _rules(document: Document, configuration: Configuration) -> Iterator[Finding]:
    for error in compile_ruleset(configuration.rules)[1]:
        path: Path = ("rules", "rule", error.index) if error.index >= 0 else ("rules", error.rule)
        yield document.finding(path, f"rule {error.rule!r}: {error.message}" if error.index >= 0 else error.message)


def _files(document: Document, value: msgspec.Struct, path: Path) -> Iterator[Finding]:
    """Every file that a key names must be there and readable."""
    for field in fields_of(type(value)):
        given, here = getattr(value, field.name), (*path, field.name)
        if field.table is not None and given is not None:
            for index, item in enumerate(given if field.many else (given,)):
                yield from _files(document, item, (*here, index) if field.many else here)
        elif field.name.endswith("_file") and given and not (FilePath(given).is_file() and os.access(given, os.R_OK)):
            yield document.finding(
                here, f"the file {given} cannot be read", "it is looked for beside the configuration and in $CREDENTIALS_DIRECTORY"
            )
