"""A mailbox as a configuration file says it: the one place of the settings that tests with a whole daemon share."""

import json


def mailbox_table(port: int, **settings: str | float | list[str]) -> str:
    """`[[intake.mailbox]]` on loopback without TLS; `settings` come beside these, or in their place.

    `poll_seconds` is long, so that what comes soon was told by the server.
    """
    given: dict[str, object] = {
        "name": "help", "host": "127.0.0.1", "port": port, "tls": "none", "login": "desk@example.org", "password_file": "password",
        "poll_seconds": 600,
    }  # fmt: skip
    # Strings, numbers and lists are written alike in TOML and JSON.
    lines = [f"{name} = {json.dumps(value)}" for name, value in (given | settings).items()]
    return "\n".join(["", "[[intake.mailbox]]", *lines, ""])
