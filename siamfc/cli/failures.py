"""Failures of the command line: one line on stderr and an exit status.

The status is 2 for wrong usage or input, 130 for an interrupt, and 1 for anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from model.errors import ModelError

INTERRUPTED = 130

_THIRD_PARTY = {
    "cv2", "fastapi", "httptools", "onnx", "onnxscript", "PIL", "prometheus_client", "pydantic", "pydantic_settings",
    "python_multipart", "safetensors", "starlette", "tensorboardX", "torch", "trax", "uvicorn", "uvloop",
}  # fmt: skip


class InputError(click.ClickException):
    """The user's input cannot be used. Exit status 2."""

    exit_code = 2


class Failure(click.ClickException):
    """Any other failure, with its exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """The failure for an error that no command has handled."""
        if is_input(error):
            return cls(str(error), 2)
        return cls(str(error) if _is_clients(error) else f"{type(error).__name__}: {error}")


def is_input(error: Exception) -> bool:
    """Whether the user's input caused an error."""
    if isinstance(error, ModelError):
        return True
    if not _is_clients(error):
        return False
    from siamfc.client import errors

    if isinstance(error, errors.FrameError):
        error = error.problem
    return isinstance(
        error,
        (
            errors.InvalidFrame,
            errors.InvalidRequest,
            errors.PayloadTooLarge,
            errors.UnsupportedMedia,
            errors.FrameSizeChanged,
            errors.Unauthorized,
        ),
    )


@contextmanager
def refused_frame(label: str, kind: type[Exception] = InputError) -> Iterator[None]:
    """Around a call of the client with a frame: what the server refuses of it is raised as `kind`, with its label."""
    try:
        yield
    except Exception as error:
        if not is_input(error) or not _is_clients(error):
            raise
        from siamfc.client import errors

        if isinstance(error, errors.Unauthorized):
            raise
        problem = error.problem if isinstance(error, errors.FrameError) else error
        raise kind(f"{label}: {problem}") from error


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """For a block of imports: if a package is missing, name the extra that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _THIRD_PARTY:
            raise
        raise InputError(
            f"{what} needs {error.name}, which is not installed: pip install 'siamfc-service[{extra}]'"
        ) from error


def _is_clients(error: Exception) -> bool:
    # By name: a command that used no server does not load the client for this.
    return type(error).__module__ == "siamfc.client.errors"
