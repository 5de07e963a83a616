"""`triaged healthcheck`: for containers and scripts, is the daemon of this configuration ready."""

import http.client
import json

import click

from intake.settings import host_and_port
from itsm.errors import Transient
from triaged.configuration import Configuration
from triaged.options import config_option, json_option, loaded
from triaged.output import data, data_json

MAX_BODY_BYTES = 64 * 1024
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 -- the address to ask, not to bind


@click.command("healthcheck", short_help="Ask a running daemon whether it is ready.")
@config_option
@json_option
@click.option(
    "--timeout", "timeout_seconds", type=click.FloatRange(0.1, 60), default=5.0, show_default=True, help="Wait so long, in seconds."
)
def command(timeout_seconds: float, as_json: bool) -> int:
    """Ask /readyz. Exit code 0 when the daemon is ready, 1 when it says why not, 4 when it does not answer."""
    host, port = address_of(loaded().configuration)
    status, body = ask(host, port, timeout_seconds)
    reasons = body.get("reasons", [])
    if as_json:
        data_json({"ready": status == http.client.OK, "reasons": reasons})
    else:
        data("ready" if status == http.client.OK else "not ready: " + ("; ".join(str(each) for each in reasons) or f"it answers {status}"))
    return 0 if status == http.client.OK else 1


def address_of(configuration: Configuration) -> tuple[str, int]:
    """Where the probes are; raises Transient when no door has them."""
    listen = configuration.process.metrics_listen or (configuration.intake.http.listen if configuration.intake.http.enabled else "")
    if not listen:
        raise Transient("HTTP is off and [process] metrics_listen is not set: there is nothing to ask")
    host, port = host_and_port(listen)
    return EVERYWHERE.get(host, host), port


def ask(host: str, port: int, timeout_seconds: float) -> tuple[int, dict[str, list[str]]]:
    """The status and the body of /readyz; raises Transient when nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    try:
        connection.request("GET", "/readyz", headers={"Host": f"localhost:{port}"})
        response = connection.getresponse()
        body = json.loads(response.read(MAX_BODY_BYTES))
        return response.status, body if isinstance(body, dict) else {}
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Transient(f"no daemon answers on {host}:{port}: {error}") from error
    finally:
        connection.close()
