"""Postfix as Debian sets it up, into its queue on the same disk, and then to nobody."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.figure import Unavailable
from prove.ports import free_ports
from prove.postfix import Postfix, why_not

TO_NOBODY = """\
in_flow_delay = 0
default_transport = discard:
"""


@contextmanager
def postfix() -> Iterator[int]:
    """Its port; raises Unavailable where it is not installed or may not be started."""
    reason = why_not()
    if reason is not None:
        raise Unavailable(reason)
    (port,) = free_ports(1)
    try:
        server = Postfix(port, settings=TO_NOBODY, debians=True)
    except RuntimeError as error:
        raise Unavailable(str(error)) from error
    try:
        yield port
    finally:
        server.close()
