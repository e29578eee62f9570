"""How the command line fails: one line on stderr and an exit status.

2: wrong usage or input. 1: anything else. 130: interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from model.errors import ModelError

INTERRUPTED = 130

_THIRD_PARTY = {
    "fastapi", "httptools", "PIL", "prometheus_client", "pydantic", "pydantic_settings", "python_multipart",
    "safetensors", "starlette", "tensorboardX", "torch", "uvicorn", "uvloop",
}  # fmt: skip


class InputError(click.ClickException):
    """What the caller gave cannot be used. One line, exit status 2."""

    exit_code = 2


class Failure(click.ClickException):
    """Anything else that went wrong, as one line with its exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """What becomes of an error that no command has dealt with."""
        if is_input(error):
            return cls(str(error), 2)
        return cls(str(error) if _is_clients(error) else f"{type(error).__name__}: {error}")


def is_input(error: Exception) -> bool:
    """Whether an error is about what the caller gave."""
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
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Around imports: says which extra to install where a package of it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _THIRD_PARTY:
            raise
        raise InputError(
            f"{what} needs {error.name}, which is not installed: pip install 'siamfc-service[{extra}]'"
        ) from error


def _is_clients(error: Exception) -> bool:
    # By name, so that a command that met no server does not load the client.
    return type(error).__module__ == "siamfc.client.errors"
