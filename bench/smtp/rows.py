"""Our SMTP door, durable and with every limit on, beside servers that do less."""

from functools import partial

from bench.figure import Figure
from bench.load.rate import rate
from bench.load.smtp import smtp_client
from bench.machine.rows import FSYNC
from bench.process import server
from bench.row import Row
from bench.smtp.postfix import postfix

CONNECTIONS = 20
MAILS, BODY_BYTES = 2_000, 4_096
BODY = b"x" * 70 + (b"\r\n" + b"y" * 70) * ((BODY_BYTES - 70) // 72)


def mails_a_second(kind: str) -> float:
    """4 KiB a mail on 20 connections, one command at a time."""
    with postfix() if kind == "postfix" else server(kind) as port:
        return rate([smtp_client(port, MAILS // CONNECTIONS, BODY, f"c{index}-") for index in range(CONNECTIONS)], MAILS)


STOCK = Figure(name="stock aiosmtpd on uvloop, discard, 4 KiB, 20 connections", unit="mails/s", measure=partial(mails_a_second, "stock"))
OURS = Figure(name="SMTP accept, durable, all limits, 4 KiB, 20 connections", unit="mails/s", measure=partial(mails_a_second, "smtp"))
POSTFIX = Figure(
    name="Postfix into its queue, discard, 4 KiB, 20 connections",
    unit="mails/s",
    measure=partial(mails_a_second, "postfix"),
)

ROWS = (
    Row(figure=STOCK),
    Row(figure=OURS, against=STOCK, at_least=1.2),
    Row(figure=POSTFIX),
    Row(figure=OURS, against=POSTFIX),
    Row(figure=OURS, against=FSYNC),
)
