"""The Grafana dashboard, made from the table below: `python -m devtools.dashboard` writes it, `--check` tells whether it is behind."""

import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "triaged.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SELECTED = 'instance=~"$instance"'
WIDTH, HEIGHT, STAT_HEIGHT = 24, 8, 4

# title, unit, (expression, legend)...; SELECTED stands for the chosen instances.
STATS = (
    ("Ready", "bool_yes_no", ("min(triaged_ready{SELECTED})", "")),
    ("Laws hold", "bool_yes_no", ("sum(abs(triaged_conservation_difference{SELECTED})) == bool 0", "")),
    ("Open tickets", "short", ("sum(triaged_records_open{SELECTED})", "")),
    ("In quarantine", "short", ('sum(triaged_inbox_pending{SELECTED, stage="quarantined"})', "")),
    ("Dead letters", "short", ('sum(triaged_outbox_pending{SELECTED, state="dead"})', "")),
    ("Free disk", "bytes", ("min(triaged_disk_free_bytes{SELECTED})", "")),
)
PANELS: tuple[tuple[str, tuple[tuple[Any, ...], ...]], ...] = (
    (
        "What comes in",
        (
            ("Accepted, by door", "ops", ("sum by (channel) (rate(triaged_accepted_total{SELECTED}[5m]))", "{{channel}}")),
            ("What it became", "ops", ("sum by (outcome) (rate(triaged_intake_messages_total{SELECTED}[5m]))", "{{outcome}}")),
            (
                "Received to decided",
                "s",
                ("histogram_quantile(0.5, sum by (le) (rate(triaged_intake_lag_seconds_bucket{SELECTED}[5m])))", "half within"),
                ("histogram_quantile(0.99, sum by (le) (rate(triaged_intake_lag_seconds_bucket{SELECTED}[5m])))", "99 % within"),
            ),
            (
                "Waits for triage",
                "short",
                ('sum(triaged_inbox_pending{SELECTED, stage="pending"})', "envelopes"),
                ('max(triaged_inbox_oldest_seconds{SELECTED, stage="pending"})', "age of the oldest, s"),
            ),
            ("SMTP, by how it ended", "ops", ("sum by (result) (rate(triaged_smtp_sessions_total{SELECTED}[5m]))", "{{result}}")),
            ("HTTP, by answer", "ops", ("sum by (route, code) (rate(triaged_http_requests_total{SELECTED}[5m]))", "{{route}} {{code}}")),
        ),
    ),
    (
        "Mailboxes",
        (
            (
                "Seconds since a look that succeeded",
                "s",
                ("time() - triaged_mailbox_last_success_timestamp_seconds{SELECTED}", "{{mailbox}}"),
            ),
            (
                "Not in the store",
                "short",
                ("triaged_mailbox_missing{SELECTED}", "missing, {{mailbox}}"),
                ("triaged_mailbox_passed{SELECTED}", "passed, {{mailbox}}"),
            ),
        ),
    ),
    (
        "Tickets",
        (
            ("Open, by priority", "short", ("sum by (priority) (triaged_records_open{SELECTED})", "{{priority}}")),
            ("Open, by team", "short", ("sum by (queue) (triaged_records_open{SELECTED})", "{{queue}}")),
        ),
    ),
    (
        "What goes out",
        (
            ("Sent, by mail", "ops", ("sum by (template) (rate(triaged_outbox_sent_total{SELECTED}[5m]))", "{{template}}")),
            ("Did not succeed", "ops", ("sum by (result) (rate(triaged_outbox_failed_total{SELECTED}[5m]))", "{{result}}")),
            (
                "Waits to be sent",
                "short",
                ("sum by (state) (triaged_outbox_pending{SELECTED})", "{{state}}"),
                ("max(triaged_outbox_oldest_seconds{SELECTED})", "age of the oldest, s"),
            ),
            ("Relay takes mail", "bool_yes_no", ("min by (instance) (triaged_outbox_relay_up{SELECTED})", "{{instance}}")),
        ),
    ),
    (
        "Inside",
        (
            (
                "Commits",
                "s",
                ("histogram_quantile(0.5, sum by (le) (rate(triaged_store_commit_seconds_bucket{SELECTED}[5m])))", "half within"),
                ("histogram_quantile(0.99, sum by (le) (rate(triaged_store_commit_seconds_bucket{SELECTED}[5m])))", "99 % within"),
            ),
            (
                "Writes that share a commit",
                "short",
                ("sum(rate(triaged_store_group_size_sum{SELECTED}[5m])) / sum(rate(triaged_store_group_size_count{SELECTED}[5m]))", "mean"),
                ("max(triaged_store_queue_depth{SELECTED})", "waiting"),
            ),
            ("Workers started again", "ops", ("sum by (worker) (rate(triaged_worker_retries_total{SELECTED}[5m]))", "{{worker}}")),
            (
                "Children",
                "short",
                ("sum(triaged_children{SELECTED})", "run"),
                ("sum by (reason) (increase(triaged_child_failures_total{SELECTED}[1h]))", "failed in an hour: {{reason}}"),
            ),
            ("Memory", "bytes", ("process_resident_memory_bytes{SELECTED}", "{{instance}}")),
            (
                "Late",
                "s",
                ("max by (instance) (triaged_loop_lag_seconds{SELECTED})", "event loop, {{instance}}"),
                (
                    "histogram_quantile(0.9, sum by (le) (rate(triaged_timers_due_lag_seconds_bucket{SELECTED}[10m])))",
                    "timers, 90 % within",
                ),
            ),
        ),
    ),
)


def expression(text: str) -> str:
    """An expression for the chosen instances."""
    return text.replace("SELECTED", SELECTED)


def expressions() -> list[str]:
    """Every expression of the dashboard."""
    panels = [*STATS, *(panel for _, row in PANELS for panel in row)]
    return [expression(text) for _, _, *targets in panels for text, _ in targets]


def panel(kind: str, number: int, title: str, unit: str, targets: list[tuple[str, str]], place: dict[str, int]) -> dict[str, Any]:
    """One panel of the grid."""
    shown = [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression(text), "legendFormat": legend}
        for index, (text, legend) in enumerate(targets)
    ]
    defaults: dict[str, Any] = {"unit": unit, "min": 0}
    return {"id": number, "type": kind, "title": title, "datasource": SOURCE, "gridPos": place, "targets": shown,
            "fieldConfig": {"defaults": defaults, "overrides": []}}  # fmt: skip


def panels() -> list[dict[str, Any]]:
    """The figures of the first line, then rows of graphs, two side by side."""
    width, found, down = WIDTH // len(STATS), [], 0
    for index, (title, unit, *targets) in enumerate(STATS):
        found.append(panel("stat", index + 1, title, unit, list(targets), {"x": index * width, "y": 0, "w": width, "h": STAT_HEIGHT}))
    down = STAT_HEIGHT
    for heading, row in PANELS:
        found.append({"id": len(found) + 1, "type": "row", "title": heading, "collapsed": False, "panels": [],
                      "gridPos": {"x": 0, "y": down, "w": WIDTH, "h": 1}})  # fmt: skip
        down += 1
        for index, (title, unit, *targets) in enumerate(row):
            place = {"x": index % 2 * WIDTH // 2, "y": down + index // 2 * HEIGHT, "w": WIDTH // 2, "h": HEIGHT}
            found.append(panel("timeseries", len(found) + 1, title, unit, list(targets), place))
        down += (len(row) + 1) // 2 * HEIGHT
    return found


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it (schema 39, Grafana 10.4 and newer)."""
    variables = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
        {"name": "instance", "type": "query", "datasource": SOURCE, "query": "label_values(triaged_build_info, instance)", "label": "Instance",
         "multi": True, "includeAll": True, "allValue": ".*", "refresh": 2, "current": {"text": "All", "value": "$__all"}},
    ]  # fmt: skip
    return {"uid": "triaged", "title": "triaged", "tags": ["triaged"], "schemaVersion": 39, "version": 1, "editable": True,
            "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "templating": {"list": variables}, "panels": panels()}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Write the file, or check it."""
    text = json.dumps(dashboard(), indent=1) + "\n"
    if arguments == ["--check"]:
        if FILE.is_file() and FILE.read_text() == text:
            return 0
        print(f"{FILE.name} is behind: run `python -m devtools.dashboard`", file=sys.stderr)
        return 1
    FILE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
