"""Alertmanager itself posts its webhook: firing, repeated, resolved."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta

import pytest

from prove.ports import free_ports
from triaged.clock import now

CONFIGURATION = """\
route:
  receiver: triaged
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1s
receivers:
  - name: triaged
    webhook_configs:
      - url: http://127.0.0.1:{port}/hooks/alertmanager
        send_resolved: true
"""


class Alertmanager:
    """One Alertmanager that sends to the daemon."""

    def __init__(self, site, folder):
        (port,) = free_ports(1)
        self.address = f"http://127.0.0.1:{port}"
        configuration = folder / "alertmanager.yml"
        configuration.write_text(CONFIGURATION.format(port=site.daemon.http_port))
        options = [f"--config.file={configuration}", f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address=127.0.0.1:{port}"]
        with (folder / "alertmanager.log").open("wb") as log:
            self.process = subprocess.Popen(["prometheus-alertmanager", *options, "--cluster.listen-address="], stdout=log, stderr=log)
        site.until(lambda: self.asks("/-/ready"))

    def asks(self, path, body=None):
        """Whether it says 200."""
        request = urllib.request.Request(self.address + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def post(self, **times):
        alert = {
            "labels": {"alertname": "LinkDown", "instance": "router7", "severity": "critical"},
            "annotations": {"summary": "The link of router7 is down"},
            **{name: each.isoformat() for name, each in times.items()},
        }
        assert self.asks("/api/v2/alerts", json.dumps([alert]).encode())


@pytest.fixture
def alertmanager(site, tmp_path) -> Iterator[Alertmanager]:
    started = Alertmanager(site, tmp_path)
    yield started
    started.process.terminate()
    started.process.wait(20)


def test_an_alert_that_fires_repeats_and_resolves_is_one_incident_from_new_to_resolved(site, alertmanager):
    began = now() - timedelta(minutes=1)
    alertmanager.post(startsAt=began, endsAt=began + timedelta(hours=1))
    (ticket,) = site.until(lambda: site.objects("ticket", "list"))
    assert ticket["subject"] == "The link of router7 is down"
    site.until(lambda: _deliveries(site) >= 3)  # its repeats
    alertmanager.post(startsAt=began, endsAt=now() - timedelta(seconds=1))
    site.until(lambda: site.objects("ticket", "list", "--state", "resolved"))
    assert len(site.objects("ticket", "list")) == 1
    assert site.command("verify").returncode == 0


def _deliveries(site):
    with urllib.request.urlopen(f"http://127.0.0.1:{site.daemon.http_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("triaged_http_requests_total{") and "hooks" in line)
