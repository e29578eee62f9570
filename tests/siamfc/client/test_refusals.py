"""The error tree and its tables: every refusal of the contract has its class."""

from __future__ import annotations

import inspect

import pytest

from siamfc.client import errors
from siamfc.client.errors import ClientError, ConnectionLost, Fault, ProblemError
from siamfc.client.refusals import REFUSALS, from_close_code, from_kind, from_problem, from_status
from siamfc.contract import PROBLEM_KINDS

CLASSES = [member for _, member in inspect.getmembers(errors, inspect.isclass) if issubclass(member, ClientError)]


def test_every_refusal_of_the_server_has_its_class() -> None:
    """The contract's table of slugs, statuses and close codes, row by row."""
    assert {error.kind for error in REFUSALS} == set(PROBLEM_KINDS)
    assert len(REFUSALS) == len(PROBLEM_KINDS)
    # 1011 is what any failure closes with, and 1013 (try later) is met by trying later.
    specific = [error for error in REFUSALS if error.kind.close_code not in (1011, 1013)]
    assert all(type(from_close_code(error.kind.close_code)) is error for error in specific)


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: error.kind.slug)
def test_a_kind_makes_its_class(error: type[ProblemError]) -> None:
    made = from_kind(error.kind, "because")
    assert type(made) is error
    assert (made.slug, made.title, made.status, made.detail) == (
        error.kind.slug, error.kind.title, error.kind.status, "because",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("slug", "status", "expected"),
    [
        pytest.param("invalid-image", 422, errors.InvalidImage, id="not an image"),
        pytest.param("unsupported-media", 415, errors.UnsupportedMedia, id="unsupported media"),
        pytest.param("payload-too-large", 413, errors.PayloadTooLarge, id="too many bytes"),
        pytest.param("image-too-large", 422, errors.ImageTooLarge, id="more pixels than allowed"),
        pytest.param("invalid-box", 422, errors.InvalidBox, id="bad box"),
        pytest.param("too-many-targets", 422, errors.TooManyTargets, id="too many targets"),
        pytest.param("frame-size-changed", 409, errors.FrameSizeChanged, id="another size"),
        pytest.param("session-not-found", 404, errors.SessionNotFound, id="no such session"),
        pytest.param("session-ended", 410, errors.SessionEnded, id="expired or deleted"),
        pytest.param("at-capacity", 503, errors.AtCapacity, id="server full"),
        pytest.param("rate-limited", 429, errors.RateLimited, id="over the rate"),
        pytest.param("unauthorized", 401, errors.Unauthorized, id="bad or missing key"),
        pytest.param("session-busy", 409, errors.SessionBusy, id="another connection drives it"),
    ],
)
def test_every_refusal_of_the_contract(slug: str, status: int, expected: type[ProblemError]) -> None:
    for kind in (f"about:blank#{slug}", f"https://example.org/problems/{slug}", f"https://example.org/problems#{slug}"):
        error = from_problem({"type": kind, "title": "T", "status": status, "detail": "D"})
        assert type(error) is expected
        assert (error.type, error.title, error.status, error.detail, error.slug) == (kind, "T", status, "D", slug)
        assert str(error) == "D"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(1000, ConnectionLost, id="done"),
        pytest.param(1001, errors.ShuttingDown, id="going away"),
        pytest.param(1003, errors.UnsupportedMedia, id="data type never valid"),
        pytest.param(1008, errors.Unauthorized, id="key refused"),
        pytest.param(1009, errors.PayloadTooLarge, id="message too big"),
        pytest.param(1011, errors.ServerFault, id="bug"),
        pytest.param(1012, errors.ShuttingDown, id="restarting"),
        pytest.param(1013, errors.AtCapacity, id="overloaded"),
        pytest.param(4404, errors.SessionNotFound, id="no such session"),
        pytest.param(4409, errors.SessionBusy, id="held by another connection"),
        pytest.param(4410, errors.SessionEnded, id="expired or deleted"),
        pytest.param(4999, ConnectionLost, id="unknown"),
    ],
)
def test_close_codes(code: int, expected: type[ClientError]) -> None:
    error = from_close_code(code, "because")
    assert type(error) is expected
    assert "because" in str(error)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(401, errors.Unauthorized, id="401"),
        pytest.param(404, errors.SessionNotFound, id="404"),
        pytest.param(409, errors.SessionBusy, id="409"),
        pytest.param(410, errors.SessionEnded, id="410"),
        pytest.param(413, errors.PayloadTooLarge, id="413"),
        pytest.param(415, errors.UnsupportedMedia, id="415"),
        pytest.param(418, ProblemError, id="unknown"),
        pytest.param(422, errors.InvalidRequest, id="422"),
        pytest.param(429, errors.RateLimited, id="429"),
        pytest.param(500, errors.ServerFault, id="500"),
        pytest.param(502, errors.ServerFault, id="a proxy's"),
        pytest.param(503, errors.AtCapacity, id="503"),
    ],
)
def test_statuses_without_a_problem(status: int, expected: type[ProblemError]) -> None:
    error = from_status(status, "D", retry_after_s=3)
    assert type(error) is expected
    assert (error.status, error.detail, error.retry_after_s) == (status, "D", 3)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({}, ProblemError, id="empty"),
        pytest.param({"type": 3, "status": "x", "errors": "y"}, ProblemError, id="mistyped"),
        pytest.param({"type": "about:blank#new", "status": 422, "errors": [1]}, errors.InvalidRequest, id="new slug"),
    ],
)
def test_odd_problems_are_errors_too(body: dict[str, object], expected: type[ProblemError]) -> None:
    error = from_problem(body)
    assert type(error) is expected
    assert error.errors == ()
    assert str(error)


def test_field_faults() -> None:
    error = from_problem({"type": "about:blank#invalid-box", "errors": [{"pointer": "/box", "detail": "narrow"}]})
    assert error.errors == (Fault("/box", "narrow"),)


@pytest.mark.parametrize("member", CLASSES, ids=lambda member: member.__name__)
def test_the_tree_is_drawn(member: type[ClientError]) -> None:
    assert member.__doc__
    assert member.__name__ in (errors.__doc__ or "").split()


def test_every_problem_class_is_in_the_table() -> None:
    assert {member for member in CLASSES if issubclass(member, ProblemError)} - set(REFUSALS) == {ProblemError}
