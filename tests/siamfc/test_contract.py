"""The contract's table, and everything that says the same in another form: the client, the documents, the page."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
import yaml

from service.api.openapi import problems
from siamfc import Reconnect, contract
from siamfc.client.calls import ServerAddress
from siamfc.client.refusals import REFUSALS, from_close_code, from_problem, from_status
from siamfc.client.sockets import Route
from siamfc.contract import DOOR_KINDS, KIND_OF_CLOSE_CODE, KIND_OF_STATUS, PROBLEM_KINDS, CloseCode

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `?([a-z0-9-]+)`? \|(.*)\|$", re.MULTILINE)


def rows(section: str) -> dict[str, list[str]]:
    """The table below a heading of docs/protocol.md: the other cells by the first one."""
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    body = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    table = {first: [cell.strip() for cell in rest.split("|")] for first, rest in ROW.findall(body)}
    return {first: cells for first, cells in table.items() if first not in ("name", "code", "---")}


def test_it_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import siamfc.contract; print(sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in re.findall(r"'([\w.]+)'", result.stdout)}
    assert loaded - set(sys.stdlib_module_names) == {"siamfc"}


def test_slugs_are_unique_and_stable_looking() -> None:
    slugs = [kind.slug for kind in (*PROBLEM_KINDS, *DOOR_KINDS)]
    assert len(set(slugs)) == len(slugs)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", slug) for slug in slugs)


def test_every_row_is_in_the_table() -> None:
    rows_by_name = [each for each in vars(contract).values() if isinstance(each, contract.ProblemKind)]
    unrouted = {contract.UNKNOWN_PATH, contract.UNKNOWN_METHOD}
    assert set(rows_by_name) == {*PROBLEM_KINDS, *DOOR_KINDS} | unrouted


def test_statuses() -> None:
    assert {kind.status for kind in PROBLEM_KINDS} == {401, 404, 409, 410, 413, 415, 422, 429, 500, 503}
    assert all(kind.status == status for status, kind in KIND_OF_STATUS.items())
    assert set(KIND_OF_STATUS) == {kind.status for kind in PROBLEM_KINDS}, "a status must mean something by itself"


def test_close_codes() -> None:
    codes = {kind.close_code for kind in PROBLEM_KINDS}
    assert codes == {1003, 1008, 1009, 1011, 1012, 1013, 4404, 4409, 4410}
    assert codes <= set(KIND_OF_CLOSE_CODE)
    # GOING_AWAY is what a server other than ours may say for RESTARTING.
    spoken = {code: kind for code, kind in KIND_OF_CLOSE_CODE.items() if code != CloseCode.GOING_AWAY}
    assert all(kind.close_code == code for code, kind in spoken.items())


def test_the_client_reads_the_same_table() -> None:
    theirs = {(error.kind.slug, error.kind.title, error.kind.status) for error in REFUSALS}
    assert theirs == {(kind.slug, kind.title, kind.status) for kind in PROBLEM_KINDS}
    route = Route(ServerAddress("http://host"), "s", ("every", False), 1.0, Reconnect())
    assert route.arguments["subprotocols"] == [contract.SUBPROTOCOL]


@pytest.mark.parametrize("status", KIND_OF_STATUS)
def test_the_client_reads_a_bare_status_as_the_table_does(status: int) -> None:
    assert from_status(status).type == KIND_OF_STATUS[status].type


@pytest.mark.parametrize("code", CloseCode)
def test_the_client_reads_a_close_code_as_the_table_does(code: CloseCode) -> None:
    kind = KIND_OF_CLOSE_CODE.get(code)
    assert getattr(from_close_code(code), "type", None) == (kind.type if kind else None)


def test_openapi_lists_every_status() -> None:
    # 500 is no refusal: it is documented nowhere and may come from anywhere.
    assert set(problems()) == {kind.status for kind in PROBLEM_KINDS} - {500}


def test_asyncapi_names_subprotocols_and_close_codes() -> None:
    text = (resources.files("service") / "api" / "asyncapi.yaml").read_text(encoding="utf-8")
    assert contract.SUBPROTOCOL in text
    assert contract.BEARER_SUBPROTOCOL in text
    described = yaml.safe_load(text)["channels"]["stream"]["x-close-codes"]
    assert {int(code) for code in described} == set(CloseCode)


def test_the_page_speaks_the_subprotocols() -> None:
    script = (ROOT / "service" / "web" / "api.js").read_text(encoding="utf-8")
    assert f'"{contract.SUBPROTOCOL}"' in script
    assert f"`{contract.BEARER_SUBPROTOCOL}$" in script


def test_the_protocol_page_lists_every_close_code() -> None:
    assert {int(code) for code in rows("Close codes")} == set(CloseCode)


def test_the_protocol_page_lists_every_refusal_at_the_door() -> None:
    table = rows("Refusals at the door")
    assert {slug: int(cells[0]) for slug, cells in table.items()} == {kind.slug: kind.status for kind in DOOR_KINDS}


@pytest.mark.parametrize("kind", DOOR_KINDS, ids=lambda kind: kind.slug)
def test_the_client_keeps_the_words_of_a_refusal_at_the_door(kind: contract.ProblemKind) -> None:
    error = from_problem({"type": kind.type, "title": kind.title, "status": kind.status, "detail": "why"})
    assert (error.slug, error.status, str(error)) == (kind.slug, kind.status, "why")


def test_the_protocol_page_lists_every_problem() -> None:
    table = rows("Problems")
    assert {slug: int(cells[0]) for slug, cells in table.items()} == {kind.slug: kind.status for kind in PROBLEM_KINDS}
    for kind in PROBLEM_KINDS:
        said = table[kind.slug][1]
        # A request that cannot be understood closes with REFUSED when it is the stream's own address.
        expected = CloseCode.REFUSED if kind is contract.INVALID_REQUEST else kind.close_code
        assert said == str(int(expected)) or (said == "" and kind.close_code == CloseCode.SERVER_FAILED)
