"""What the clients of the simulation send: mails as people and machines write them, alerts as monitors post them."""

import json
from collections.abc import Mapping
from datetime import datetime

DESK = "help@corp.example"


def mail(name: str, sender: str, *, text: str = "It is broken.", subject: str = "", **headers: str) -> bytes:
    """A plain mail with its Message-ID."""
    lines = [f"From: {sender}", f"To: {DESK}", f"Subject: {subject or name}", f"Message-ID: <{name}@client.example>"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    return "\r\n".join([*lines, "", text, ""]).encode()


def out_of_office(name: str, sender: str, answered: str) -> bytes:
    """What a responder answers to one of our notices (RFC 3834)."""
    return mail(name, sender, text="I am away.", subject="Away", Auto_Submitted="auto-replied", In_Reply_To=f"<{answered}>")


def bounce(name: str, recipient: str) -> bytes:
    """A delivery status notification about a mail of ours (RFC 3464)."""
    return (
        "From: MAILER-DAEMON@relay.example\r\nTo: help@corp.example\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        f"Message-ID: <{name}@client.example>\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-replied\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nIt could not be delivered.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 unknown\r\n\r\n"
        "--b--\r\n"
    ).encode()


def alertmanager(alerts: list[Mapping[str, object]]) -> bytes:
    """An Alertmanager webhook, version 4."""
    return json.dumps({"version": "4", "alerts": alerts}).encode()


def alert(key: str, *, firing: bool, started_at: datetime, ended_at: datetime | None = None) -> dict[str, object]:
    """One alert of it; the group merged its members, so a resolve speaks of the series."""
    return {
        "status": "firing" if firing else "resolved",
        "labels": {"alertname": key, "severity": "critical"},
        "startsAt": _time(started_at),
        "endsAt": _time(ended_at) if ended_at else "0001-01-01T00:00:00Z",
        "fingerprint": key,
    }


def _time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
