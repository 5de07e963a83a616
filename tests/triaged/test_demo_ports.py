"""Ports of the demo and of every test that starts a daemon: free now, and free when it listens."""

import socket
import subprocess
import sys

import pytest

from triaged.demo.ports import EPHEMERAL, FIRST, free_ports


def test_no_port_is_given_twice_and_none_is_one_the_kernel_gives_to_connections():
    ports = free_ports(50) + free_ports(50)
    assert len(set(ports)) == 100
    assert all(FIRST <= port < EPHEMERAL for port in ports)


def test_another_process_is_not_given_a_port_of_ours():
    mine = free_ports(1)[0]
    script = f"import triaged.demo.ports as ports; ports._candidates.append(iter([{mine}, {mine}, 0])); print(ports.free_ports(1))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[0]\n"


def test_a_port_somebody_listens_on_is_passed_over(monkeypatch):
    with socket.socket() as listener:
        port = free_ports(1)[0]
        listener.bind(("127.0.0.1", port))
        monkeypatch.setattr("triaged.demo.ports._candidates", [iter([port, port])])
        with pytest.raises(OSError, match="no 1 free ports"):
            free_ports(1)


def test_a_range_that_cannot_be_read_or_leaves_no_room_is_that_of_linux(monkeypatch, tmp_path):
    for text in ("", "10001\t60999\n"):
        (tmp_path / "range").write_text(text)
        monkeypatch.setattr("triaged.demo.ports.RANGE", tmp_path / "range")
        monkeypatch.setattr("triaged.demo.ports._candidates", [])
        assert FIRST <= free_ports(1)[0] < EPHEMERAL
