"""Asks the probes of a running daemon."""

import http.client
import json

from intake.settings import host_and_port
from itsm.errors import Transient
from triaged.configuration import Configuration

MAX_BODY_BYTES = 64 * 1024
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 -- the address to ask, not to bind


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
