"""The rules between modules: allowed imports, the cost of an import, the size of a file, and its tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("model", "service", "siamfc")
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50

TESTED_IN = {
    "model/arrays.py": "model/test_crops.py",
    "model/inference/gpu/predictor.py": "model/inference/gpu/test_device_step.py",
    "model/inference/pending.py": "service/engine/test_passes.py",
    "model/inference/predictor.py": "model/inference/test_torch_cpu.py",
    "model/training/mobilenet.py": "model/training/test_teachers.py",
    "service/sessions/stores/redis_damage.py": "service/sessions/stores/test_redis_hostile.py",
    "model/data/records.py": "model/data/test_corpus.py",
    "service/__main__.py": "integration/test_drain.py",
    "service/api/bodies.py": "integration/test_http_refusals.py",
    "service/api/error_handlers.py": "service/test_app.py",
    "service/api/health.py": "integration/test_lifecycle.py",
    "service/api/maps.py": "service/api/test_stream_messages.py",
    "service/api/body_limit.py": "integration/test_http_refusals.py",
    "service/api/openapi.py": "integration/test_http.py",
    "service/api/schemas.py": "integration/test_http_targets.py",
    "service/api/sessions.py": "integration/test_http.py",
    "service/api/stream.py": "integration/test_stream.py",
    "service/api/pending_answers.py": "service/api/test_stream_resume.py",
    "service/api/web.py": "integration/test_page.py",
    "service/app.py": "integration/test_http_access.py",
    "siamfc/cli/bench.py": "siamfc/cli/test_commands.py",
    "siamfc/cli/convert.py": "siamfc/cli/test_commands.py",
    "siamfc/cli/failures.py": "siamfc/cli/test_program.py",
    "siamfc/cli/following.py": "siamfc/cli/test_track.py",
    "siamfc/cli/frames.py": "siamfc/cli/test_sources.py",
    "siamfc/cli/options.py": "siamfc/cli/test_program.py",
    "siamfc/cli/progress.py": "siamfc/cli/test_track.py",
    "siamfc/cli/train.py": "siamfc/cli/test_commands.py",
    "siamfc/adapters/cvat_points.py": "siamfc/adapters/test_cvat_nuclio.py",
    "siamfc/cli/__main__.py": "siamfc/adapters/test_trax.py",
    "siamfc/cli/trax.py": "siamfc/adapters/test_trax.py",
    "siamfc/in_process.py": "siamfc/test_backends.py",
    "siamfc/client/aio.py": "siamfc/client/test_sessions.py",
    "siamfc/client/aio_link.py": "siamfc/client/test_connections.py",
    "siamfc/client/errors.py": "siamfc/client/test_refusals.py",
    "siamfc/client/sockets.py": "siamfc/client/test_connections.py",
    "siamfc/client/sync.py": "siamfc/client/test_sessions.py",
    "siamfc/client/sync_link.py": "siamfc/client/test_connections.py",
    "service/command.py": "siamfc/cli/test_commands.py",
    "service/api/dependencies.py": "integration/test_http_access.py",
    "service/engine/jobs.py": "service/engine/test_batcher.py",
    "service/serve.py": "integration/test_drain.py",
    "service/sessions/exemplars.py": "service/sessions/test_lease_manager.py",
    "service/sessions/stores/memory.py": "service/sessions/stores/test_store.py",
    "service/sessions/stores/redis_scripts.py": "service/sessions/stores/test_store.py",
    "service/sessions/requests.py": "service/sessions/test_tracking.py",
    "service/sessions/results.py": "service/sessions/test_tracking.py",
    "service/sessions/tracker_model.py": "service/sessions/test_tracking.py",
    "service/wire/messages.py": "service/wire/test_codec.py",
}
"""Modules without a test file of their own name, and the one that tests them: what runs only as a part of a whole."""


def sources() -> list[str]:
    """Every module's file, relative to the root."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path.relative_to(ROOT).as_posix() for path in files)


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_import_contracts_hold() -> None:
    result = run("from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        pytest.param("model.boxes", ("torch", "cv2", "PIL"), id="boxes"),
        pytest.param("model.tracker", ("torch",), id="the tracker step"),
        pytest.param("model.evaluation.one_pass", ("torch", "matplotlib"), id="evaluation"),
        pytest.param("model.evaluation.plots", ("torch", "matplotlib"), id="plots"),
        pytest.param("model.evaluation.in_process", ("torch",), id="following in process"),
        pytest.param("siamfc", ("torch", "fastapi", "numpy", "cv2", "httpx"), id="the user's package"),
        pytest.param("siamfc.client", ("torch", "fastapi", "starlette", "pydantic", "PIL", "cv2"), id="the client"),
        pytest.param("siamfc.cli", ("torch", "fastapi", "starlette", "pydantic", "PIL", "cv2"), id="the command line"),
        pytest.param("service.wire.protocol", ("torch", "fastapi", "numpy", "cv2"), id="the wire protocol"),
    ],
)
def test_an_import_loads_nothing_heavy(module: str, heavy: tuple[str, ...]) -> None:
    result = run(f"import sys, {module}; print(sorted(set({heavy!r}) & set(sys.modules)))")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("source", [each for each in sources() if not each.endswith("__init__.py")])
def test_every_module_has_a_test_file(source: str) -> None:
    own = Path(source).with_name(f"test_{Path(source).name}")
    tests = ROOT / "tests"
    assert (tests / own).is_file() or (tests / TESTED_IN.get(source, own)).is_file(), f"there is no tests/{own}"


def test_every_module_that_is_tested_elsewhere_exists() -> None:
    assert set(TESTED_IN) <= set(sources())


@pytest.mark.parametrize("source", sources())
def test_files_and_functions_stay_readable(source: str) -> None:
    text = (ROOT / source).read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_FILE_LINES
    for name, length in functions(ast.parse(text)):
        assert length <= MAX_FUNCTION_LINES, f"{name} has {length} lines"


@pytest.mark.parametrize("source", sources())
def test_modules_say_what_they_are(source: str) -> None:
    tree = ast.parse((ROOT / source).read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_names_that_say_nothing_are_not_used() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [source for source in sources() if vague & set(Path(source).with_suffix("").parts)]
