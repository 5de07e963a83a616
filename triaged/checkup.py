"""The checks of `triaged doctor`: each says ok, WARN or FAIL, with what to do."""

import os
import shutil
import smtplib
import socket
import ssl
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from intake.settings import host_and_port
from itsm.errors import TriagedError
from notifier.settings import RelaySettings
from store import migrate
from store.lock import DataLock
from triaged import clock
from triaged.checkup_mailboxes import mailboxes
from triaged.checkup_result import FAIL, OK, WARN, Result
from triaged.configuration import Configuration
from triaged.findings import ConfigurationInvalid
from triaged.loading import load
from triaged.ownership import strangers
from triaged.probe import address_of, ask
from triaged.texts import failing_texts

RELAY_TIMEOUT_SECONDS, PORT_TIMEOUT_SECONDS = 10.0, 2.0
CERTIFICATE_WARNING = timedelta(days=21)


def examine(given: str | None) -> list[Result]:
    """Every check; those that need a valid configuration are left out without one."""
    results = [_packages()]
    try:
        loaded = load(given)
    except ConfigurationInvalid as invalid:
        found = [
            Result(state=FAIL, name="configuration", message=each.text, advice="mend the file; `triaged check` looks again")
            for each in invalid.findings
        ]
        return results + found
    where = str(loaded.file) if loaded.file else "none, the defaults"
    results.append(Result(state=OK, name="configuration", message=where))
    running = _runs(loaded.configuration)
    checks: tuple[Callable[[Configuration], Iterator[Result]], ...] = (
        _directory,
        _disk,
        _database,
        _secrets,
        _texts,
        _certificate,
        _relay,
        mailboxes,
    )
    for check in checks:
        results += check(loaded.configuration)
    return results + list(_ports(loaded.configuration, running=running))


def _packages() -> Result:
    owners = strangers()
    if not owners:
        return Result(state=OK, name="packages", message="our package names are ours")
    told = ", ".join(f"{package} belongs to {name}" for package, name in owners.items())
    return Result(state=FAIL, name="packages", message=told, advice="install triaged in a virtual environment of its own")


def _runs(configuration: Configuration) -> bool:
    """Whether a daemon holds the data directory, or on PostgreSQL, where nobody holds it, answers here."""
    directory = Path(configuration.store.path)
    if configuration.store.postgres is not None:
        return _answers(configuration)
    if not directory.is_dir():
        return False
    lock = DataLock(directory)
    try:
        lock.acquire()
    except (TriagedError, OSError):
        return True
    lock.release()
    return False


def _answers(configuration: Configuration) -> bool:
    try:
        ask(*address_of(configuration), PORT_TIMEOUT_SECONDS)
    except TriagedError:
        return False
    return True


def _directory(configuration: Configuration) -> Iterator[Result]:
    directory = Path(configuration.store.path)
    name = "data directory"
    if not directory.exists():
        parent = next(each for each in (directory.absolute(), *directory.absolute().parents) if each.exists())
        may = os.access(parent, os.W_OK)
        message = f"{directory} is not there yet" + ("" if may else f", and {parent} cannot be written")
        yield Result(
            state=OK if may else FAIL,
            name=name,
            message=message,
            advice="" if may else "name another [store] path, or give us the directory",
        )
        return
    if not os.access(directory, os.W_OK):
        yield Result(state=FAIL, name=name, message=f"{directory} cannot be written", advice="give it to the user triaged runs as")
    elif directory.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Result(state=WARN, name=name, message=f"others may look into {directory}", advice=f"chmod 700 {directory}")
    else:
        yield Result(state=OK, name=name, message=str(directory))


def _disk(configuration: Configuration) -> Iterator[Result]:
    directory = Path(configuration.store.path).absolute()
    there = next(each for each in (directory, *directory.parents) if each.exists())
    free, minimum = shutil.disk_usage(there).free, configuration.store.minimum_free_bytes
    message = f"{free // 2**20} MiB free, the doors close below {minimum // 2**20} MiB"
    state = FAIL if free < minimum else WARN if free < 5 * minimum else OK
    yield Result(state=state, name="disk", message=message, advice="" if state == OK else "make room, or shorten [store.retention]")


def _database(configuration: Configuration) -> Iterator[Result]:
    try:
        found = migrate.status(configuration.store)
    except TriagedError as error:
        yield Result(state=FAIL, name="database", message=str(error))
        return
    if found.current is None:
        yield Result(state=OK, name="database", message="none yet; the first start makes it")
    elif found.pending:
        yield Result(state=FAIL, name="database", message=f"schema {found.current}, {found.head} is needed", advice="triaged db upgrade")
    else:
        yield Result(state=OK, name="database", message=f"schema {found.current}")
    if not found.durable:
        message = "PostgreSQL runs with fsync = off: a power cut loses or breaks what was acknowledged"
        yield Result(state=WARN, name="durability", message=message, advice="ALTER SYSTEM SET fsync = on, and restart it")


def _secrets(configuration: Configuration) -> Iterator[Result]:
    """Files of secrets that others may read."""
    intake, relay, postgres = configuration.intake, configuration.notifier.relay, configuration.store.postgres
    files = [each.password_file for each in intake.smtp.login]
    files += [each.password_file for each in intake.mailbox]
    files += [file for each in configuration.oauth for file in (each.client_secret_file, each.refresh_token_file)]
    files += [file for source in intake.source for file in (source.token_file, source.hmac_file)]
    files += [intake.smtp.tls_key_file, relay.password_file if relay else "", postgres.password_file if postgres else ""]
    for file in filter(None, files):
        if Path(file).stat().st_mode & stat.S_IRWXO:
            yield Result(state=WARN, name="secrets", message=f"everybody may read {file}", advice=f"chmod 600 {file}")


def _texts(configuration: Configuration) -> Iterator[Result]:
    """Texts of mails that cannot be used: ours are sent in their place (F67)."""
    for each in failing_texts(configuration):
        yield Result(state=WARN, name="texts", message=each.text, advice="mend it; until then our own text is sent")


def _certificate(configuration: Configuration) -> Iterator[Result]:
    smtp = configuration.intake.smtp
    if not smtp.tls_certificate_file:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(smtp.tls_certificate_file, smtp.tls_key_file or None)
        ends = _end_of(smtp.tls_certificate_file)
    except (ssl.SSLError, OSError, ValueError) as error:
        yield Result(
            state=FAIL, name="tls", message=f"{smtp.tls_certificate_file}: {error}", advice="name a PEM chain and its key in [intake.smtp]"
        )
        return
    left = ends - clock.now()
    state = FAIL if left < timedelta() else WARN if left < CERTIFICATE_WARNING else OK
    yield Result(
        state=state, name="tls", message=f"the certificate ends {ends:%Y-%m-%d}", advice="" if state == OK else "renew it and restart"
    )


def _end_of(certificate_file: str) -> datetime:
    """When the first certificate of a PEM file ends."""
    decoded = ssl._ssl._test_decode_cert(certificate_file)  # type: ignore[attr-defined]  # the stdlib's own reader of a certificate has no public name
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(decoded["notAfter"])), UTC)


def _relay(configuration: Configuration) -> Iterator[Result]:
    relay = configuration.notifier.relay
    if relay is None:
        yield Result(
            state=WARN, name="relay", message="none: mail becomes files in the outbox folder", advice="set [notifier.relay] to send it"
        )
        return
    try:
        said = _greeting(relay)
    except (OSError, smtplib.SMTPException) as error:
        yield Result(
            state=FAIL, name="relay", message=f"{relay.host}:{relay.port}: {error}", advice="check [notifier.relay] and the network"
        )
    else:
        yield Result(state=OK, name="relay", message=f"{relay.host}:{relay.port} answers: {said}")


def _greeting(relay: RelaySettings) -> str:
    """What the relay says to EHLO; nothing more is asked of it."""
    context = ssl.create_default_context(cafile=relay.ca_file or None)
    if relay.tls == "implicit":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(relay.host, relay.port, timeout=RELAY_TIMEOUT_SECONDS, context=context)
    else:
        smtp = smtplib.SMTP(relay.host, relay.port, timeout=RELAY_TIMEOUT_SECONDS)
    with smtp:
        code, said = smtp.ehlo()
    if code >= 400:
        raise smtplib.SMTPResponseException(code, said)
    return said.decode("utf-8", "replace").partition("\n")[0]


def _ports(configuration: Configuration, *, running: bool) -> Iterator[Result]:
    intake = configuration.intake
    doors = [("smtp", intake.smtp.listen)] if intake.smtp.enabled else []
    doors += [("http", intake.http.listen)] if intake.http.enabled else []
    doors += [("metrics", configuration.process.metrics_listen)] if configuration.process.metrics_listen else []
    for name, listen in doors:
        taken = _taken(listen)
        if running and taken:
            yield Result(state=OK, name=f"port {name}", message=f"{listen}, the daemon has it")
        elif taken:
            yield Result(
                state=FAIL, name=f"port {name}", message=f"{listen}: {taken}", advice="stop what listens there, or choose another listen"
            )
        elif running:
            yield Result(
                state=WARN,
                name=f"port {name}",
                message=f"{listen} is free although a daemon runs",
                advice="it may be starting, or runs with another configuration",
            )
        else:
            yield Result(state=OK, name=f"port {name}", message=f"{listen} is free")
    if running and (intake.http.enabled or configuration.process.metrics_listen):
        yield _daemon(configuration)


def _taken(listen: str) -> str:
    """Why we cannot bind there, "" when we can."""
    host, port = host_and_port(listen)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _daemon(configuration: Configuration) -> Result:
    try:
        status, body = ask(*address_of(configuration), PORT_TIMEOUT_SECONDS)
    except TriagedError as error:
        return Result(state=FAIL, name="daemon", message=str(error), advice="look at its log")
    if status == 200:
        return Result(state=OK, name="daemon", message="runs and is ready")
    return Result(
        state=WARN,
        name="daemon",
        message="runs, not ready: " + "; ".join(body.get("reasons", [])),
        advice="`triaged queue list` and its log say more",
    )
