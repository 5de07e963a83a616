"""The OpenAPI 3.1 document of the API, made of the table of operations and the types they take and answer."""

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from webportal.operations import JSON, OCTETS, PREFIX, Operation
from webportal.shapes import Problem

REF = "#/components/schemas/{name}"
PROBLEM_JSON = "application/problem+json"
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names this request: a repeat under the same key gets the first answer and does nothing; with other content, 409.",
    "schema": {"type": "string", "maxLength": 255},
}
PATH_WORDS = {"number": "Ticket number with any prefix or none, such as INC-1042.", "id": "The id, as lists show it."}
FIELD = re.compile(r"\{(\w+)\}")
Object = dict[str, Any]


def document(operations: Sequence[Operation], version: str, *, open_ports: bool = False) -> Object:
    """The whole document, as JSON values. With `open_ports` the operations of other packages need no token (design 7: on loopback)."""
    paths: dict[str, Object] = {}
    types = _types(operations)
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    schema_of = dict(zip(types, schemas, strict=True))
    for each in operations:
        paths.setdefault(PREFIX + each.path, {})[each.method.lower()] = _operation(each, schema_of, free=open_ports and each.run is None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "triaged",
            "version": version,
            "description": "Tickets, alerts, inbox and outbox. Each operation names the scope its token needs; what a token may not see is 404.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "A token made by `triaged token create`."}},
        },
    }


def _types(operations: Sequence[Operation]) -> list[type]:
    found: dict[type, None] = {Problem: None}
    for each in operations:
        found |= {type_: None for type_ in (each.answer, each.body) if type_ is not None}
    return list(found)


def _operation(operation: Operation, schema_of: dict[type, Object], *, free: bool) -> Object:
    fields: Object = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.path.split("/")[1]],
        "security": [{"token": [operation.scope]}, *([{}] if free else [])],
        "parameters": [*_path(operation), *_query(operation), *([IDEMPOTENCY_KEY] if operation.writes else [])],
        "responses": dict(_responses(operation, schema_of)),
    }
    if operation.body is not None:
        fields["requestBody"] = {"required": True, "content": {JSON: {"schema": schema_of[operation.body]}}}
    elif operation.takes:
        fields["requestBody"] = {"required": True, "content": {operation.takes: {}}}
    return fields


def _path(operation: Operation) -> Iterator[Object]:
    for name in FIELD.findall(operation.path):
        yield {"name": name, "in": "path", "required": True, "description": PATH_WORDS[name], "schema": {"type": "string"}}


def _query(operation: Operation) -> Iterator[Object]:
    schema = _inline(msgspec.json.schema(operation.query))
    for name, each in schema["properties"].items():
        said = next((choice["description"] for choice in each.get("anyOf", [each]) if "description" in choice), "")
        default = each.get("default")
        plain: Object = next((choice for choice in each.get("anyOf", []) if choice != {"type": "null"}), each)
        plain = {key: value for key, value in plain.items() if key not in ("description", "default")}
        if default is not None:
            plain["default"] = default
        yield {"name": name, "in": "query", "required": False, "description": said, "schema": plain}


def _inline(schema: Object) -> Object:
    """The schema without references: parameters stand for themselves."""
    definitions = schema.get("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, dict) and "$ref" in value:
            more = {key: each for key, each in value.items() if key != "$ref"}
            target = {key: each for key, each in definitions[value["$ref"].rpartition("/")[2]].items() if key != "title"}
            return resolved(target | more)
        if isinstance(value, dict):
            return {key: resolved(each) for key, each in value.items()}
        return [resolved(each) for each in value] if isinstance(value, list) else value

    found: Object = resolved({key: each for key, each in schema.items() if key != "$defs"})
    return found


def _responses(operation: Operation, schema_of: dict[type, Object]) -> Iterator[tuple[str, Object]]:
    content = {OCTETS: {}} if operation.answer is None else {JSON: {"schema": schema_of[operation.answer]}}
    yield str(operation.status), {"description": HTTPStatus(operation.status).phrase, "content": content}
    for status in refusals(operation):
        yield str(status), {"description": HTTPStatus(status).phrase, "content": {PROBLEM_JSON: {"schema": schema_of[Problem]}}}


def refusals(operation: Operation) -> list[int]:
    """The statuses of the problems an operation may answer."""
    found = [400, 401, 403, 503]
    if FIELD.search(operation.path):
        found.append(404)
    if operation.writes:
        found += [408, 409, 413, 422]
    if operation.takes:
        found.append(415)
    return sorted(found)
