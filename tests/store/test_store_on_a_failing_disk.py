"""A store that was just made survives the power cut that comes right after it."""

import subprocess
import sys
from pathlib import Path

import pytest

from prove.faultfs import FaultFileSystem

OPEN = """
import pathlib, sys
import store.durable
if sys.argv[2] == "plainly":
    store.durable.sync_directory = lambda directory: None
from store.settings import StoreSettings
from store.store import Store
from triaged import clock
opened = Store(StoreSettings(path=sys.argv[1]), clock=clock.now)
print("made", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("how", "survives"), [("durably", True), ("plainly", False)])
def test_a_new_data_directory_outlives_a_power_cut_because_its_name_is_synced(tmp_path, how, survives):
    with FaultFileSystem(tmp_path / "disk") as files:
        directory = files.folder / "deep" / "var"
        command = [sys.executable, "-c", OPEN, str(directory), how]
        with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"made\n"
            files.power_cut(process, seed=0)
        assert (directory / "triaged.sqlite").exists() is survives
