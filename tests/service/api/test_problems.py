"""Every error has a row of the contract, and is shown to a caller by it."""

from __future__ import annotations

from typing import Any

import pytest

from service import errors
from service.api import problems
from service.errors import ServiceError
from siamfc.contract import DOOR_KINDS, INTERNAL_ERROR, INVALID_BOX, PROBLEM_KINDS


def every_class(root: type[ServiceError] = ServiceError) -> list[type[ServiceError]]:
    return [root, *(each for child in root.__subclasses__() for each in every_class(child))]


LEAVES = [each for each in every_class() if each is not ServiceError and each.__module__ == errors.__name__]


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.__name__)
def test_every_error_has_a_row_of_its_own(error: type[ServiceError]) -> None:
    assert error.kind in (*PROBLEM_KINDS, *DOOR_KINDS)
    assert [other for other in every_class() if other.kind is error.kind] == [error]
    assert problems.kind_of(error("x")) is error.kind


def test_the_table_has_no_other_rows() -> None:
    # Some refusals at the door are made before there is an application that could raise an error.
    assert {error.kind for error in LEAVES} - {*DOOR_KINDS} == {*PROBLEM_KINDS} - {INTERNAL_ERROR}
    assert ServiceError.kind is INTERNAL_ERROR


CONTRACT = [
    pytest.param(errors.InvalidImage("x"), 422, "invalid-image", None, id="not-an-image"),
    pytest.param(errors.UnsupportedMedia("x"), 415, None, 1003, id="media"),
    pytest.param(errors.PayloadTooLarge("x"), 413, None, 1009, id="bytes"),
    pytest.param(errors.ImageTooLarge("x"), 422, "image-too-large", None, id="pixels"),
    pytest.param(errors.InvalidBox("x"), 422, "invalid-box", None, id="box"),
    pytest.param(errors.TooManyTargets("x"), 422, None, None, id="targets"),
    pytest.param(errors.FrameSizeChanged("x"), 409, "frame-size-changed", None, id="size-changed"),
    pytest.param(errors.SessionNotFound("x"), 404, None, 4404, id="no-session"),
    pytest.param(errors.SessionEnded("x"), 410, None, 4410, id="ended"),
    pytest.param(errors.AtCapacity("x", retry_after_s=5), 503, "at-capacity", 1013, id="full"),
    pytest.param(errors.RateLimited("x", retry_after_s=1), 429, None, 1013, id="rate"),
    pytest.param(errors.Unauthorized("x"), 401, None, 1008, id="key"),
    pytest.param(errors.SessionBusy("x"), 409, "session-busy", 4409, id="busy"),
    pytest.param(errors.ShuttingDown("x"), 503, None, 1012, id="shutting-down"),
    pytest.param(errors.RequestTimeout("x"), 408, "request-timeout", None, id="body-late"),
    pytest.param(RuntimeError("x"), 500, None, 1011, id="bug"),
]


@pytest.mark.parametrize(("error", "status", "slug", "close_code"), CONTRACT)
def test_the_contracts_refusals(error: Exception, status: int, slug: str | None, close_code: int | None) -> None:
    kind = problems.kind_of(error)
    assert kind.status == status
    assert slug is None or kind.slug == slug
    assert close_code is None or kind.close_code == close_code


def test_a_subclass_without_a_row_has_its_parents() -> None:
    class OddBox(errors.InvalidBox):
        pass

    assert problems.kind_of(OddBox("x")) is INVALID_BOX


@pytest.mark.parametrize(
    ("error", "body"),
    [
        pytest.param(
            errors.SessionNotFound("there is no such session"),
            {
                "type": "about:blank#session-not-found",
                "title": "No such session",
                "status": 404,
                "detail": "there is no such session",
            },
            id="plain",
        ),
        pytest.param(
            errors.InvalidBox("too thin", pointer="/targets/1/box"),
            {
                "type": "about:blank#invalid-box",
                "title": "The box cannot be used",
                "status": 422,
                "detail": "too thin",
                "errors": [{"pointer": "/targets/1/box", "detail": "too thin"}],
            },
            id="pointer",
        ),
        pytest.param(
            errors.InvalidRequest("two faults", faults=(("/a", "one"), ("", "two"))),
            {
                "type": "about:blank#invalid-request",
                "title": "The request cannot be understood",
                "status": 422,
                "detail": "two faults",
                "errors": [{"pointer": "/a", "detail": "one"}, {"pointer": "", "detail": "two"}],
            },
            id="faults",
        ),
    ],
)
def test_problem_objects(error: Exception, body: dict[str, Any]) -> None:
    assert problems.problem(error) == body


def test_a_bug_does_not_show_its_text() -> None:
    body = problems.problem(RuntimeError("/secret/path: password"))
    assert (body["status"], body["type"]) == (500, "about:blank#internal-error")
    assert "secret" not in str(body)
    assert "errors" not in body


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        pytest.param(errors.Unauthorized("x"), {"WWW-Authenticate": "Bearer"}, id="key"),
        pytest.param(errors.AtCapacity("x", retry_after_s=5), {"Retry-After": "5"}, id="seconds"),
        pytest.param(errors.RateLimited("x", retry_after_s=0.02), {"Retry-After": "1"}, id="at-least-one"),
        pytest.param(errors.RateLimited("x", retry_after_s=1.2), {"Retry-After": "2"}, id="rounded-up"),
        pytest.param(errors.InvalidBox("x"), {}, id="none"),
        pytest.param(RuntimeError("x"), {}, id="bug"),
    ],
)
def test_headers(error: Exception, headers: dict[str, str]) -> None:
    assert problems.headers(error) == headers


def test_few_faults_are_told_and_shortly() -> None:
    faults = tuple((f"/{'a' * 1000}", "b" * 1000) for _ in range(1000))
    told = problems.problem(errors.InvalidRequest("c" * 1000, faults=faults))
    assert len(told["errors"]) == problems.MAX_FAULTS
    assert {len(each) for fault in told["errors"] for each in fault.values()} == {problems.MAX_TEXT}
    assert len(told["detail"]) == problems.MAX_TEXT
