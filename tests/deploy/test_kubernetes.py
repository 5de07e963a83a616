"""The manifests: valid for Kubernetes, restricted as a pod can be, and with a configuration that triaged takes."""

import re
from pathlib import Path

import pytest

from tests.deploy.tools import DEPLOY, run
from triaged.loading import load

FOLDER = DEPLOY / "kubernetes"
MANIFESTS = sorted(file.name for file in FOLDER.glob("*.yaml") if file.name != "kustomization.yaml")


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_valid_and_listed(name: str) -> None:
    done = run("kubernetes-validate", "--strict", str(FOLDER / name))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"  - {name}\n" in (FOLDER / "kustomization.yaml").read_text()


def test_a_pod_may_do_nothing_it_need_not() -> None:
    text = (FOLDER / "statefulset.yaml").read_text()
    for word in ("runAsNonRoot: true", "readOnlyRootFilesystem: true", "allowPrivilegeEscalation: false", "drop: [ALL]", "RuntimeDefault"):
        assert word in text
    assert "automountServiceAccountToken: false" in text


def test_ports_are_those_of_the_configuration() -> None:
    configuration = (FOLDER / "triaged.toml").read_text()
    ports = re.findall(r"containerPort: (\d+)", (FOLDER / "statefulset.yaml").read_text())
    assert sorted(ports) == sorted(re.findall(r'listen = "0\.0\.0\.0:(\d+)"', configuration))


def test_triaged_takes_the_configuration(tmp_path: Path) -> None:
    text = (FOLDER / "triaged.toml").read_text()
    for name in re.findall(r'"/run/secrets/(\w+)"', text):
        (tmp_path / name).write_text("secret of the test")
    file = tmp_path / "triaged.toml"
    file.write_text(text.replace("/run/secrets", str(tmp_path)).replace("/var/lib/triaged", str(tmp_path)))
    assert load(str(file), {}).configuration.intake.source[0].name == "alertmanager"
