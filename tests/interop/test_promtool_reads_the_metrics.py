"""promtool has nothing to say against the metrics."""

import subprocess
import urllib.request


def test_the_metrics_of_a_running_daemon_are_clean(site):
    with urllib.request.urlopen(f"http://127.0.0.1:{site.daemon.http_port}/metrics", timeout=60) as answer:
        metrics = answer.read()
    done = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, timeout=120, check=False)
    assert done.stdout.decode() + done.stderr.decode() == ""
    assert done.returncode == 0
