"""The image and its composition, judged without building them: there is no engine where the tests run."""

from tests.deploy.tools import DEPLOY, ROOT, run

DOCKERFILE = DEPLOY / "container" / "Dockerfile"


def test_the_dockerfile_has_no_faults_that_hadolint_knows() -> None:
    done = run("hadolint", str(DOCKERFILE))
    assert done.returncode == 0, done.stdout


def test_the_composition_is_one() -> None:
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "container" / "compose.yaml"))
    assert done.returncode == 0, done.stdout


def test_the_image_holds_every_package_and_nothing_else() -> None:
    let_in = {line[1:] for line in (DEPLOY / "container" / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert all((ROOT / name).exists() for name in let_in)
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {"bench", "devtools", "prove"}
    assert packages <= let_in
    assert not {"tests", ".git", "."} & let_in


def test_nothing_runs_as_root_and_the_probe_is_ours() -> None:
    text = DOCKERFILE.read_text()
    assert "USER 10001:10001" in text
    assert '["triaged", "healthcheck"]' in text
    assert "--require-hashes" in text
