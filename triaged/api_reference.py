"""`docs/reference/api.md`: a section an operation, made of the OpenAPI document that the daemon serves."""

from collections.abc import Iterator, Mapping
from typing import Any

from triaged import __version__
from webportal.openapi import document
from webportal.operations import OPERATIONS, PREFIX

API_HEAD = """# The HTTP API

This page is generated from the program: `python -m triaged.reference`. The same as OpenAPI 3.1 is at `/api/v1/openapi.json`; how to
use it is in [Use the API](../howto/api.md).

Every request but that one shows a token, `Authorization: Bearer ...`, made by `triaged token create`; each operation names the scope
it needs. What the token's agent or source may not see is answered as what is not there: 404. Every refusal is a problem document
(RFC 9457) that says what happened and what to do. Every POST takes an `Idempotency-Key`: a repeat gets the first answer and does
nothing; the same key with other content is 409. Lists come in pages: give the `cursor` of a page to get the next one; what arrives
meanwhile moves nothing.
"""


def api() -> str:
    """The page."""
    found = document(OPERATIONS, __version__)
    sections = [API_HEAD]
    for each in OPERATIONS:
        sections += _operation(found, each.method, PREFIX + each.path)
    sections += ["## Types", ""]
    for name, schema in sorted(found["components"]["schemas"].items()):
        sections += _type(name, schema)
    return "\n".join(sections).rstrip() + "\n"


def _operation(found: Mapping[str, Any], method: str, path: str) -> Iterator[str]:
    operation = found["paths"][path][method.lower()]
    [scopes] = operation["security"][0].values()
    yield f"## `{method} {path}`"
    yield ""
    yield operation["summary"]
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| scope | `{scopes[0]}` |"
    for each in operation["parameters"]:
        if each["in"] != "header":
            yield f"| {each['in']} `{each['name']}` | {' '.join(filter(None, (each['description'], _bounds(each['schema']))))} |"
    body = operation.get("requestBody")
    if body is not None:
        yield f"| body | {_content(body['content'])} |"
    for status, answer in operation["responses"].items():
        if status < "4":
            yield f"| answers {status} | {_content(answer['content'])} |"
    yield f"| refuses | {', '.join(status for status in operation['responses'] if status >= '4')} |"
    yield ""


def _content(content: Mapping[str, Any]) -> str:
    [(media, given)] = content.items()
    name = _name(given.get("schema", {}))
    return f"[{name}](#{name.lower()}), `{media}`" if name else f"bytes, `{media}`"


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _bounds(schema: Mapping[str, Any]) -> str:
    """What a parameter may be, beyond text."""
    words = []
    if "enum" in schema:
        words.append("One of " + ", ".join(f"`{each}`" for each in schema["enum"]) + ".")
    if "minimum" in schema:
        words.append(f"From {schema['minimum']} to {schema.get('maximum', 'any')}.")
    if "default" in schema:
        words.append(f"Default: `{schema['default']}`.")
    return " ".join(words)


def _type(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield str(schema.get("description", ""))
    yield ""
    if "enum" in schema:
        yield "One of " + ", ".join(f"`{each}`" for each in schema["enum"]) + "."
        yield ""
        return
    yield "| field | type | |"
    yield "|---|---|---|"
    needed = schema.get("required", ())
    for field, each in schema.get("properties", {}).items():
        said = " ".join(filter(None, ("" if field in needed else "May be left out.", _said(each))))
        yield f"| `{field}` | {_kind(each)} | {said} |"
    yield ""


def _said(schema: Mapping[str, Any]) -> str:
    choices = (schema, *schema.get("anyOf", ()))
    return next((str(each["description"]) for each in choices if "description" in each), "")


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return f"[{_name(schema)}](#{_name(schema).lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("type") == "object":
        return f"object of {_kind(schema.get('additionalProperties', {}))}"
    kind = str(schema.get("format") or schema.get("type") or "anything")
    return kind if kind != "date-time" else "instant"
