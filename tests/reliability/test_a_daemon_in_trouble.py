"""F22, F25, F69: a disk that fills up, a log nobody reads, a configuration that is wrong: the daemon goes on, or says that it does not."""

import contextlib
import os
import signal
import socket

import pytest

from tests.reliability.lives import Life, eventually

WITH_AND_WITHOUT = pytest.mark.parametrize("defended", [True, False])


def fill(pipe: int) -> None:
    """Fill a pipe to the last byte, without making the daemon's end of it non-blocking."""
    own = os.open(f"/proc/self/fd/{pipe}", os.O_WRONLY | os.O_NONBLOCK)
    for size in (65_536, 4_096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(own, b"x" * size)
    os.close(own)


@WITH_AND_WITHOUT
def test_a_log_that_nobody_reads_holds_up_neither_mail_nor_the_end(site: Life, defended: bool) -> None:
    reader, writer = os.pipe()
    try:
        site.begin(without="" if defended else "log_queue", stderr=writer)
        fill(writer)
        sent = [site.tries(f"m{number}", timeout=20.0 if defended else 1.0) for number in range(5)]
        assert all(sent) is defended
        if defended:
            site.settle()
            assert len(site.tickets()) == 5
            assert site.stop() == 0
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("where", ["closed pipe", "full disk", "closed"])
def test_a_log_that_cannot_be_written_is_dropped_and_the_work_goes_on(site: Life, where: str) -> None:
    reader, writer = os.pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        if where == "closed":
            site.begin(shell="exec 2>&-")
        else:
            site.begin(stderr=writer if where == "closed pipe" else full)
        os.close(reader)
        assert site.tries("one")
        site.settle()
        assert len(site.tickets()) == 1
        if where != "closed":
            assert (site.metric("triaged_log_lines_dropped_total") or 0) > 0
        assert site.stop() == 0
    finally:
        os.close(writer)
        os.close(full)
    assert site.command("verify").code == 0  # no line of the log went into the database


@WITH_AND_WITHOUT
def test_a_daemon_of_few_descriptors_tells_whom_it_cannot_serve_and_goes_on(site: Life, defended: bool) -> None:
    """With caps that do not fit, clients wait for a greeting that nobody can give."""
    site.begin(without="" if defended else "fitted_caps", shell="ulimit -n 128")
    clients = []
    try:
        for number in range(150):
            source = (f"127.0.0.{2 + number // 30}", 0)  # one address alone may have fifty
            clients.append(socket.create_connection(("127.0.0.1", site.smtp), timeout=60, source_address=source))
        told = [greeted(each, seconds=60.0 if defended else 3.0) for each in reversed(clients)]  # the last ones first
        assert (b"" not in told) is defended
        if defended:
            assert 0 < told.count(b"220") < len(clients)
            assert told.count(b"220") + told.count(b"421") == len(clients)
            assert site.probe("/healthz")[0] == 200
    finally:
        for each in clients:
            each.close()
    assert eventually(lambda: site.tries("one", timeout=60.0), seconds=120.0)  # it lives, and takes mail when there is room again
    if defended:
        assert any(line["event"].startswith("doors fitted") for line in site.lines())


def greeted(client: socket.socket, *, seconds: float) -> bytes:
    """The code of the greeting; empty when none comes."""
    client.settimeout(seconds)
    try:
        return client.recv(1000)[:3]
    except TimeoutError:
        return b""


@WITH_AND_WITHOUT
def test_below_the_low_water_mark_every_door_says_try_later_and_opens_again_by_itself(site: Life, defended: bool) -> None:
    mark = 10**15 if defended else 0
    site.file.write_text(site.file.read_text().replace("[store]", f"[store]\nminimum_free_bytes = {mark}"))
    site.begin(ready=False)
    site.until(lambda: site.probe("/readyz")[0] == (503 if defended else 200))
    assert (b"MiB of disk are free" in site.probe("/readyz")[1]) is defended
    assert site.tries("one") is not defended
    status, body = site.request("POST", "/hooks/generic", b'{"title":"disk"}')
    assert status == (429 if defended else 202), body
    assert site.probe("/healthz")[0] == 200


@WITH_AND_WITHOUT
def test_a_configuration_that_is_wrong_leaves_the_old_one_in_force_and_says_so(site: Life, defended: bool) -> None:
    site.begin(without="" if defended else "old_configuration")
    site.configure("[dsk]\n[intake.source]\n")
    assert site.process is not None
    site.process.send_signal(signal.SIGHUP)
    if defended:
        site.until(lambda: site.metric("triaged_config_reload_success") == 0)
        assert site.tries("one")
    else:
        assert eventually(lambda: site.process is not None and site.process.poll() is not None)
