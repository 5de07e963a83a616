"""`triaged healthcheck`: for containers and scripts, is the daemon of this configuration ready."""

import http.client

import click

from triaged.options import config_option, json_option, loaded
from triaged.output import data, data_json
from triaged.probe import address_of, ask


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
