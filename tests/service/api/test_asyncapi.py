"""The socket's document: complete, consistent, and true of the codec."""

from __future__ import annotations

import inspect
import json
import re
from importlib import resources
from typing import Any

import jsonschema
import pytest
import yaml

from service.api import problems
from service.errors import InvalidBox, ServiceError
from service.wire import codec
from service.wire.messages import FrameResult, TargetState, Timing
from siamfc.contract import CloseCode
from tests.service.conftest import Running

Json = dict[str, Any]

DOCUMENT: Json = yaml.safe_load((resources.files("service") / "api" / "asyncapi.yaml").read_text(encoding="utf-8"))
MESSAGES: Json = DOCUMENT["components"]["messages"]
CHANNEL: Json = DOCUMENT["channels"]["stream"]

EXAMPLES = [
    pytest.param(name, example["payload"], id=f"{name}: {example['name']}")
    for name, message in MESSAGES.items()
    for example in message.get("examples", [])
]


def references(node: Any) -> list[str]:
    """Every $ref below a node."""
    if isinstance(node, list):
        return [each for child in node for each in references(child)]
    if not isinstance(node, dict):
        return []
    return [node["$ref"]] if "$ref" in node else [each for child in node.values() for each in references(child)]


def resolve(reference: str) -> Any:
    node: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def conforms(name: str, payload: Any) -> None:
    """Raises ValidationError unless the payload is that message."""
    schema = {"$ref": f"#/components/messages/{name}/payload", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(payload)


def test_it_is_asyncapi_3() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"info", "servers", "channels", "operations", "components"} <= DOCUMENT.keys()


def test_no_reference_dangles() -> None:
    found = references(DOCUMENT)
    assert found
    for reference in found:
        resolve(reference)


@pytest.mark.parametrize("name", MESSAGES)
def test_payloads_are_json_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(MESSAGES[name]["payload"])


def test_every_message_is_in_the_channel_and_in_an_operation() -> None:
    assert CHANNEL["messages"].keys() == MESSAGES.keys()
    used = {each.rsplit("/", 1)[1] for each in references(DOCUMENT["operations"]) if "/messages/" in each}
    assert used == MESSAGES.keys()


def test_every_message_of_the_codec_is_described_and_no_other() -> None:
    from_clients = set(codec._FIELDS)
    from_server = set(re.findall(r'type="(\w+)"', inspect.getsource(codec)))
    assert from_server == {"ready", "result", "dropped", "error", "bye"}
    assert MESSAGES.keys() == from_clients | from_server | {"frame"}


@pytest.mark.parametrize("kind", codec._FIELDS)
def test_clients_messages_have_the_codecs_fields(kind: str) -> None:
    assert MESSAGES[kind]["payload"]["properties"].keys() - {"type"} == codec._FIELDS[kind]
    assert set(MESSAGES[kind]["payload"]["required"]) == codec._FIELDS[kind] | {"type"}


def test_every_close_code_is_described() -> None:
    described = {int(code) for code in CHANNEL["x-close-codes"]}
    assert described == set(CloseCode)
    assert described >= {1000, 1001, 1003, 1008, 1009, 1011, 1012, 1013, 4404, 4409, 4410}


def test_address_and_query() -> None:
    assert CHANNEL["address"] == "/v1/sessions/{sessionId}/stream"
    assert CHANNEL["parameters"].keys() == {"sessionId"}
    query = CHANNEL["bindings"]["ws"]["query"]["properties"]
    assert (query["mode"]["enum"], query["map"]["enum"]) == (["every", "latest"], ["0", "1"])
    assert re.fullmatch(query["resume"]["pattern"], "aZ0_-:12")


def test_every_text_message_has_an_example() -> None:
    assert [name for name, message in MESSAGES.items() if not message.get("examples")] == ["frame"]


@pytest.mark.parametrize(("name", "payload"), EXAMPLES)
def test_examples_conform(name: str, payload: Json) -> None:
    conforms(name, payload)
    if name in codec._FIELDS:
        codec.parse(json.dumps(payload))


@pytest.mark.parametrize(("name", "payload"), EXAMPLES)
def test_the_schemas_let_nothing_else_through(name: str, payload: Json) -> None:
    for spoilt in (payload | {"type": "nothing"}, payload | {"more": 1}, {}):
        with pytest.raises(jsonschema.ValidationError):
            conforms(name, spoilt)


TARGET = TargetState("0", [1.0, 2.0, 3.0, 4.0], 0.5, "lost")
MAPPED = TargetState("0", [1.0, 2.0, 3.0, 4.0], 0.5, "lost", b"png", [0.0, 0.0, 9.0, 9.0])
WANTING = TargetState("0", [1.0, 2.0, 3.0, 4.0], 0.5, "uncertain", wants=[0, 2, 30, 41])
FAULT = problems.problem(InvalidBox("bad", pointer="/box"))
MISSED = [codec.error(FAULT), codec.result(FrameResult(0, 1)), codec.dropped(1)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("ready", codec.ready("s", 3, 4, "latest", "c"), id="ready"),
        pytest.param(
            "ready",
            codec.ready(
                "s", 3, 4, "every", "c", [codec.error(FAULT), codec.result(FrameResult(0, 1)), codec.dropped(1)]
            ),
            id="ready-resumed",
        ),
        pytest.param("result", codec.result(FrameResult(0, 1)), id="result-without-targets"),
        pytest.param("result", codec.result(FrameResult(2, 3, (TARGET, MAPPED), Timing(0.1, 0, 0, 1))), id="result"),
        pytest.param("result", codec.result(FrameResult(2, 3, (WANTING,), missed=("0",))), id="result-of-a-part"),
        pytest.param("dropped", codec.dropped(0), id="dropped"),
        pytest.param("error", codec.error(FAULT, 0), id="frame-error"),
        pytest.param("error", codec.error(problems.problem(ServiceError("x"))), id="text-error"),
        pytest.param("bye", codec.bye(), id="bye"),
    ],
)
def test_what_the_codec_writes_conforms(name: str, text: str) -> None:
    conforms(name, json.loads(text))


@pytest.mark.anyio
async def test_it_is_served(service: Running) -> None:
    response = await service.client.get("/asyncapi.yaml")
    assert response.status_code == 200
    assert "yaml" in response.headers["content-type"]
    assert yaml.safe_load(response.text) == DOCUMENT
