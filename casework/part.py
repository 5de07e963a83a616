"""One part of an envelope on its way through casework."""

import msgspec

from casework.resends import Known
from itsm.decision import Decision
from itsm.envelope import Envelope, Outcome
from itsm.signal import DeliveryReport, Malformed, MonitoringEvent, UserMessage


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed part with its envelope and its place in it. A Malformed part is quarantined alone.

    `signed_by` is what its mail said when it came here: a contact form or an extraction makes a signal without it.
    """

    envelope: Envelope
    seq: int
    signal: UserMessage | DeliveryReport | MonitoringEvent | Malformed
    signed_by: str = ""


class Handled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a part; `decision` is None when it waits (then `outcome` is None too).

    `known` is what the state cache may keep of an alert once this is committed.
    """

    part: Part
    outcome: Outcome | None
    decision: Decision | None = None
    ticket_id: int | None = None
    known: Known | None = None
