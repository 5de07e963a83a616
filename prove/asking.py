"""schemathesis over the OpenAPI document of a served API. Importable only where `requirements/api.txt` is installed."""

from collections import Counter
from itertools import product
from typing import Any, Protocol

import msgspec
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

# Not asked: `positive_data_acceptance`. What is well formed may still be refused by a rule: no such ticket, an act that is not legal now.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
schemathesis.serializer.alias("message/rfc822", "application/octet-stream")  # octets, as the document says
KNOWN = 4  # of the ids that are there, so many stand in paths: quarantined envelopes come first, then one that is done
SECONDS_TO_ANSWER = 60
MAX_FINDINGS = 100


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run: requests by operation, role and status, and what was not as described, a text each."""

    asked: dict[tuple[str, str, int], int]
    findings: tuple[str, ...]

    @property
    def requests(self) -> int:
        """How many were sent."""
        return sum(self.asked.values())

    def line(self) -> str:
        """The figure."""
        statuses: Counter[int] = Counter()
        for (_, _, status), count in self.asked.items():
            statuses[status] += count
        operations, roles = ({key[place] for key in self.asked} for place in (0, 1))
        told = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
        return (
            f"{self.requests} requests of {len(operations)} operations by {len(roles)} roles: {told}; {len(self.findings)} not as described"
        )


class Asked(Protocol):
    """What is asked: where it is, a secret by role, and the ids that are there."""

    url: str
    tokens: dict[str, str]
    number: list[str]
    ids: dict[str, list[str]]


def examine(served: Asked, *, examples: int, seed: int, document: dict[str, Any] | None = None) -> Examined:
    """Ask every operation by every role, `examples` right and `examples` wrong requests of each; the same seed asks the same, ids aside.

    `document` is used in place of the one that is served.
    """
    raw = document or requests.get(f"{served.url}/api/v1/openapi.json", timeout=SECONDS_TO_ANSWER).json()
    schema = schemathesis.openapi.from_dict(raw)
    counts: Counter[tuple[str, str, int]] = Counter()
    findings: dict[str, None] = {}
    with requests.Session() as session:
        for found, mode in product(schema.get_all_operations(), GenerationMode):
            _ask(found.ok(), mode, served, session, counts, findings, examples * len(served.tokens), seed)
    return Examined(asked=dict(counts), findings=tuple(findings))


def _ask(
    operation: APIOperation,
    mode: GenerationMode,
    served: Asked,
    session: requests.Session,
    counts: Counter[tuple[str, str, int]],
    findings: dict[str, None],
    examples: int,
    seed_: int,
) -> None:
    turn = 0

    @seed(seed_)
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None, phases=[Phase.generate])
    @given(case=_cases(operation, mode, served))
    def one(case: Case) -> None:
        nonlocal turn
        role = list(served.tokens)[turn % len(served.tokens)]
        turn += 1
        headers = {"Authorization": f"Bearer {served.tokens[role]}"}
        response = case.call(base_url=served.url, session=session, headers=headers, timeout=SECONDS_TO_ANSWER)
        counts[operation.label, role, response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS, headers=headers)
        except FailureGroup as group:
            if len(findings) < MAX_FINDINGS:
                findings[f"{operation.label} as {role}, {mode.value}: {group}"] = None

    one()


def _cases(operation: APIOperation, mode: GenerationMode, served: Asked) -> st.SearchStrategy[Case]:
    """Requests with what stands in the path made up, and with what is there."""
    path = operation.path
    word = path.removeprefix("/api/v1/").partition("/")[0]
    name, known = ("number", served.number) if "{number}" in path else ("id", served.ids.get(word, [])) if "{id}" in path else ("", [])
    made = [operation.as_strategy(generation_mode=mode)]
    return st.one_of(*made, *(operation.as_strategy(generation_mode=mode, path_parameters={name: each}) for each in known[:KNOWN]))
