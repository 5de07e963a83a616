"""`dev prove soak`: a steady load for so many minutes, then ten times that: memory and queues stay bounded, nothing accepted is lost."""

import argparse
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from prove import ledger as books
from prove.clients import Clients, Ledger
from prove.crash import finish
from prove.daemon import Daemon
from prove.gauge import QUEUES, Sample, sample, slope_a_minute
from prove.record import write_record
from prove.relay import RecordingRelay

MAILS_A_SECOND, ALERTS_A_SECOND, ALERTS_A_BODY = 50, 200, 10
SENDERS = POSTERS = 4
TIMES_MORE, OVERLOAD_SECONDS = 10, 60.0
SAMPLE_SECONDS = 5.0
JUDGED_MINUTES, MIB_A_MINUTE = 20.0, 0.5
PENDING_LIMIT, QUEUE_LIMIT = 2_000, 10_000
MORE = f"[intake]\npending_limit = {PENDING_LIMIT}\n"
BACK_SECONDS = 60.0
CALM_PENDING = 2 * (MAILS_A_SECOND + ALERTS_A_SECOND // ALERTS_A_BODY)  # what arrives in two seconds
MORE_DESCRIPTORS = 10
SAY_NO = {421, 451, 452, 503}  # RFC 5321 4.2.3, RFC 9110 15.6.4: try later


class Soak:
    """One daemon, its relay and its clients."""

    def __init__(self, folder: Path) -> None:
        """Nothing runs yet."""
        self.folder, self.relay, self.ledger = folder, RecordingRelay(), Ledger()
        self.daemon = Daemon(folder, self.relay.port, more=MORE)

    def clients(self, times: int, seed: int) -> Clients:
        """Clients that bring so many times the steady load, each at a steady pace."""
        senders, posters = SENDERS * (1 if times == 1 else 4), POSTERS * (1 if times == 1 else 4)
        assert ALERTS_A_SECOND / ALERTS_A_BODY / POSTERS == 5.0, "mails and bodies go at paces of their own"
        pause_seconds = senders / (MAILS_A_SECOND * times)
        bodies = int(ALERTS_A_SECOND * times * pause_seconds / posters)
        return Clients(
            self.daemon,
            self.ledger,
            self.relay,
            senders=senders,
            posters=posters,
            writers=0,
            pause_seconds=pause_seconds,
            bodies=(bodies,),
            new_alerts=0.02,
            seed=seed,
        )

    def watch(self, seconds: float) -> list[Sample]:
        """Look every few seconds."""
        assert self.daemon.process is not None
        found, end = list[Sample](), time.monotonic() + seconds
        while time.monotonic() < end:
            found.append(sample(self.daemon.process.pid, self.daemon.http_port))
            time.sleep(SAMPLE_SECONDS)
        return found

    def seconds_until_calm(self) -> float | None:
        """Seconds until it is ready and holds no more than what arrives in two; None when that took too long."""
        began = time.monotonic()
        while time.monotonic() - began < BACK_SECONDS * 3:
            if self.ready() and self.pending() <= CALM_PENDING:
                return time.monotonic() - began
            time.sleep(0.5)
        return None

    def ready(self) -> bool:
        """What /readyz says."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.http_port}/readyz", timeout=10):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def pending(self) -> int:
        """Envelopes that wait, by the table, not by a gauge that is refreshed now and then."""
        return books.pending(self.folder)


def judged(samples: list[Sample], minutes: float) -> tuple[list[str], str]:
    """Findings of the steady part, and its figures: the last 20 minutes, or the last two thirds of a shorter run."""
    since = samples[-1].at - min(JUDGED_MINUTES, minutes * 2 / 3) * 60
    last = [each for each in samples if each.at >= since]
    daemon = slope_a_minute([(each.at, each.daemon_mib) for each in last])
    children = slope_a_minute([(each.at, each.children_mib) for each in last])
    rise = max(each.descriptors for each in last) - max(each.descriptors for each in last[: max(1, len(last) // 4)])
    deepest = [max(each.queues[name] for each in samples) for name in QUEUES]
    findings = [
        f"memory of the {who} rises by {slope:.2f} MiB a minute"
        for who, slope in (("daemon", daemon), ("children", children))
        if slope >= MIB_A_MINUTE
    ]
    findings += [f"{rise} descriptors more at the end"] if rise > MORE_DESCRIPTORS else []
    findings += ["the store's queue reached its limit"] if deepest[0] >= QUEUE_LIMIT else []
    findings += ["the inbox reached its limit"] if deepest[1] >= PENDING_LIMIT else []
    figures = (
        f"daemon {last[0].daemon_mib:.0f} to {last[-1].daemon_mib:.0f} MiB ({daemon:+.2f} a minute), children {last[0].children_mib:.0f} to "
        f"{last[-1].children_mib:.0f} ({children:+.2f}), {rise:+d} descriptors, deepest queues: store {deepest[0]:.0f}, "
        f"inbox {deepest[1]:.0f}, outbox {deepest[2]:.0f}"
    )
    return findings, figures


def soak(folder: Path, *, minutes: float, seed: int) -> tuple[list[str], str]:
    """The whole proof; findings and figures."""
    run = Soak(folder)
    steady = run.clients(1, seed)
    more = run.clients(TIMES_MORE - 1, seed + 1)
    try:
        run.daemon.start()
        run.daemon.wait_ready()
        steady.start()
        samples = run.watch(minutes * 60)
        findings, figures = judged(samples, minutes)
        mails, alerts = (run.ledger.taken[each] / minutes / 60 for each in ("mail", "alert"))
        findings += [f"doors said {code} {count} times under the steady load" for code, count in run.ledger.answered.items()]
        more.start()
        overload = run.watch(OVERLOAD_SECONDS)
        more.stop()
        said_no = sum(run.ledger.answered[code] for code in SAY_NO)
        findings += [f"doors said {code} {count} times" for code, count in run.ledger.answered.items() if code not in SAY_NO]
        calm = run.seconds_until_calm()
        if calm is None or calm > BACK_SECONDS:
            findings.append(f"not back to normal after {BACK_SECONDS:.0f} s")
        most = max(each.queues[QUEUES[1]] for each in overload)
        steady.stop()
        verdict = finish(run.daemon, folder, run.ledger, run.relay, kills=0)
        findings += verdict.findings
    finally:
        for each in (steady, more):
            each.stop()
        run.daemon.close()
        run.relay.close()
    taken = run.ledger.taken
    return findings, (
        f"steady {mails:.0f} mails/s and {alerts:.0f} alerts/s: {figures}; then {TIMES_MORE} times that for {OVERLOAD_SECONDS:.0f} s: "
        f"{said_no} answers of try later, inbox at most {most:.0f} of {PENDING_LIMIT}, back to normal after "
        f"{f'{calm:.1f} s' if calm is not None else 'too long'}; in all {taken['mail']} mails and {taken['alert']} alerts taken, "
        f"{verdict.tickets} tickets"
    )


def main() -> int:
    """Run the proof; exit 0 only where it held."""
    parser = argparse.ArgumentParser(prog="dev prove soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--note", default="", help="what else the machine did; it goes into the record")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/proof")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="triaged-soak-") as folder:
        findings, figures = soak(Path(folder), minutes=asked.minutes, seed=asked.seed)
    for line in findings[:50]:
        print(line)
    figure = f"{figures}; {len(findings)} findings, seed {asked.seed}, {asked.minutes:g} minutes{'; ' if asked.note else ''}{asked.note}"
    if asked.record:
        write_record("soak", figure, held=not findings)
    print(figure)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
