"""The subjects there are, in the order of the table. A new one is a folder with `rows.py`, and a line here."""

import bench.alerts.rows
import bench.growth.rows
import bench.latency.rows
import bench.machine.rows
import bench.mail.rows
import bench.peers.rows
import bench.postgres.rows
import bench.smtp.rows
import bench.steps.rows
import bench.whole.rows
from bench.row import Row

SUBJECTS: dict[str, tuple[Row, ...]] = {
    "machine": bench.machine.rows.ROWS,
    "mail": bench.mail.rows.ROWS,
    "smtp": bench.smtp.rows.ROWS,
    "peers": bench.peers.rows.ROWS,
    "whole": bench.whole.rows.ROWS,
    "steps": bench.steps.rows.ROWS,
    "latency": bench.latency.rows.ROWS,
    "alerts": bench.alerts.rows.ROWS,
    "growth": bench.growth.rows.ROWS,
    "postgres": bench.postgres.rows.ROWS,
}

# Minutes long each: only when asked for by name.
ASKED_FOR: dict[str, tuple[Row, ...]] = {"million": bench.growth.rows.MILLION_ROWS, "postgres-million": bench.postgres.rows.MILLION_ROWS}
