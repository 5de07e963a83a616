"""What lies in deploy/, judged by the tools of those who will read it. What is not on the machine is not collected; `dev test` says so."""

import os
import shutil
import sys
from pathlib import Path

NEEDED = {
    "test_prometheus_alarms.py": "promtool",
    "test_grafana_dashboard.py": "promtool",
    "test_systemd_unit.py": "systemd-analyze",
    "test_container.py": "hadolint",
    "test_kubernetes.py": "kubernetes-validate",
}
SEARCH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

collect_ignore = [name for name, program in NEEDED.items() if shutil.which(program, path=SEARCH) is None]
