"""The OpenAPI document holds: its references lead somewhere, its schemas are schemas, and the API answers what it says."""

import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.webportal.conftest import serve, token, two_organisations
from webportal.openapi import document
from webportal.operations import OPERATIONS, PREFIX

DOCUMENT = document(OPERATIONS, "1")
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None)}
KNOWN = {"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "$ref", "title", "description", "default", "format",
         "minimum", "maximum", "minLength", "maxLength"}  # fmt: skip


def resolved(schema):
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        schema = DOCUMENT["components"]["schemas"][name]
    return schema


def schemas(value):
    """Every schema below a part of the document."""
    if isinstance(value, dict):
        if "schema" in value:
            yield value["schema"]
        for each in value.values():
            yield from schemas(each)
    elif isinstance(value, list):
        for each in value:
            yield from schemas(each)


def fault(schema):
    """What is wrong with a schema itself; empty when nothing is."""
    if set(schema) - KNOWN:
        return f"unknown words {sorted(set(schema) - KNOWN)}"
    if "type" in schema and schema["type"] not in TYPES:
        return f"there is no type {schema['type']}"
    if set(schema.get("required", ())) - set(schema.get("properties", {})):
        return "requires what it does not have"
    below = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    below += [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    return next((found for each in below if (found := fault(each))), "")


def wrong(value, schema):
    """Why a value is not what its schema says; empty when it is."""
    schema = resolved(schema)
    if "anyOf" in schema:
        return "" if any(not wrong(value, each) for each in schema["anyOf"]) else f"{value!r} is none of {schema['anyOf']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{value!r} is none of {schema['enum']}"
    if "type" in schema and (not isinstance(value, TYPES[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean")):
        return f"{value!r} is no {schema['type']}"
    if isinstance(value, dict):
        missing = set(schema.get("required", ())) - set(value)
        surplus = set(value) - set(schema.get("properties", {})) if "properties" in schema else set()
        below = [(each, schema.get("properties", {}).get(key, schema.get("additionalProperties"))) for key, each in value.items()]
        deeper = next((found for each, its in below if isinstance(its, dict) and (found := wrong(each, its))), "")
        return deeper or (f"misses {missing}, has also {surplus}" if missing or surplus else "")
    if isinstance(value, list):
        return next((found for each in value if (found := wrong(each, schema.get("items", {})))), "")
    return ""


def test_every_schema_is_one_and_every_reference_leads_to_one():
    found = [*schemas(DOCUMENT["paths"]), *DOCUMENT["components"]["schemas"].values()]
    assert len(found) > 60
    for each in found:
        assert fault(resolved(each)) == ""
    for name in re.findall(r"'\$ref': '([^']*)'", str(DOCUMENT)):
        assert name.removeprefix("#/components/schemas/") in DOCUMENT["components"]["schemas"]


def test_every_operation_is_there_once_with_its_scope_and_its_parameters():
    ids = [each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()]
    assert sorted(ids) == sorted(each.name for each in OPERATIONS)
    for operation in OPERATIONS:
        told = DOCUMENT["paths"][PREFIX + operation.path][operation.method.lower()]
        assert told["security"] == [{"token": [operation.scope]}]
        named = {each["name"] for each in told["parameters"] if each["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", operation.path))
        assert ("requestBody" in told) is bool(operation.body or operation.takes)


def test_where_a_port_is_open_the_document_says_that_it_takes_no_token():
    told = document(OPERATIONS, "1", open_ports=True)["paths"]
    free = {each.name for each in OPERATIONS if {} in told[PREFIX + each.path][each.method.lower()]["security"]}
    assert free == {"sendMessage"}


@pytest.mark.parametrize(("value", "good"), [({"a": 1}, True), ({"a": "1"}, False), ({}, False), ({"a": 1, "b": 2}, False), ([], False)])
def test_the_check_of_answers_tells_right_from_wrong(value, good):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert (wrong(value, schema) == "") is good


junk = st.text(max_size=12) | st.sampled_from(["1", "-1", "0", "open", "in-1", "null", "9" * 30, "\x00", "%", "INC-1001"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | junk, lambda deep: st.lists(deep, max_size=2) | st.dictionaries(junk, deep, max_size=2)
)
VERBS = DOCUMENT["components"]["schemas"]["Verb"]["enum"]


@st.composite
def requests(draw):
    """A request that is nearly right: of every operation, with its own parameters and fields, right and wrong values."""
    operation = draw(st.sampled_from([each for each in OPERATIONS if each.name != "sendMessage"]))
    name = draw(st.sampled_from(["INC-1001", "INC-1002", "in-1", "1"]) | junk.filter(lambda each: each.strip("./")))
    path = re.sub(r"\{\w+\}", lambda _: quote(name, safe=""), operation.path)
    fields = operation.query.__struct_fields__
    query = draw(st.dictionaries(st.sampled_from([*fields, "other"]), junk, max_size=3))
    body = None
    if operation.body is not None:
        keys = st.sampled_from([*operation.body.__struct_fields__, "other"])
        body = draw(st.dictionaries(keys, values, max_size=5)) | draw(
            st.sampled_from([{}, {"verb": draw(st.sampled_from(VERBS))}, {"subject": "x"}])
        )
    return operation, path, query, body


def test_nothing_that_is_asked_brings_a_failure_and_every_answer_is_as_described(make_desk, mail):
    desk = two_organisations(make_desk(), mail)
    headers = token(desk, "operator")
    statuses = set()
    with serve(desk) as client:

        @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(requests())
        def ask(request):
            operation, path, query, body = request
            raw = {"content": b"x"} if operation.takes else {"json": body} if body is not None else {}
            answer = client.request(operation.method, PREFIX + path, params=query, headers=headers, **raw)
            told = DOCUMENT["paths"][PREFIX + operation.path][operation.method.lower()]["responses"]
            assert str(answer.status_code) in told, answer.text
            ((media, content),) = told[str(answer.status_code)]["content"].items()
            assert answer.headers["content-type"] == media
            if "schema" in content:
                assert wrong(answer.json(), content["schema"]) == ""
            statuses.add(answer.status_code)

        ask()
        assert client.get(f"{PREFIX}/openapi.json").json()["openapi"] == "3.1.0"
    assert {200, 400, 404, 422} <= statuses
