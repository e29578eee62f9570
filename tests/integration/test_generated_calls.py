"""Calls in any order, generated from the OpenAPI document by schemathesis, with sessions that really exist."""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.integration import scene
from tests.support.server import Server

EXAMPLES, STEPS = 12, 8


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_no_order_of_calls_fails_the_server(server: Server) -> None:
    if find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed: pip install -e '.[fuzz]'")
    import schemathesis

    answers: Counter[tuple[str, int]] = Counter()
    machine = schemathesis.openapi.from_url(f"{server.url}/openapi.json").as_state_machine()

    class Calls(machine):  # type: ignore[misc, valid-type]
        """Sessions begin with an image that is one; everything else is as generated."""

        def before_call(self, case: Any) -> None:
            if case.path == "/v1/sessions":
                case.media_type = "application/json"
                case.body = {"frame": scene.base64_frame(), "box": list(scene.truth(0))}

        def after_call(self, response: Any, case: Any) -> None:
            answers[case.operation.label, response.status_code] += 1

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            assert response.status_code < 500, (case.operation.label, response.text)

    Calls.run(
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
    )
    reached = {label for label, status in answers if status not in (404, 405)}
    assert "GET /v1/sessions/{session_id}" in reached, answers
    assert answers["POST /v1/sessions", 201], answers
    behind = {label for label in reached if "{session_id}" in label}
    assert len(behind) >= 3, answers
