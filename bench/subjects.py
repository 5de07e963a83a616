"""The subjects there are, in the order of the table. A new one is a folder with `rows.py`, and a line here."""

import bench.alerts.rows
import bench.machine.rows
import bench.peers.rows
import bench.smtp.rows
import bench.whole.rows
from bench.row import Row

SUBJECTS: dict[str, tuple[Row, ...]] = {
    "machine": bench.machine.rows.ROWS,
    "smtp": bench.smtp.rows.ROWS,
    "peers": bench.peers.rows.ROWS,
    "whole": bench.whole.rows.ROWS,
    "alerts": bench.alerts.rows.ROWS,
}
