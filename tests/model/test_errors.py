from __future__ import annotations

import inspect

import pytest

from model import errors
from model.images import ImageTooLargeError, InvalidImageError


def _own() -> list[type[Exception]]:
    return [value for _, value in inspect.getmembers(errors, inspect.isclass) if value is not errors.ModelError]


@pytest.mark.parametrize("error", [*_own(), InvalidImageError, ImageTooLargeError])
def test_every_error_is_a_model_error_and_a_value_error(error: type[Exception]) -> None:
    assert issubclass(error, errors.ModelError)
    assert issubclass(error, ValueError)
    assert error.__doc__


def test_the_module_draws_the_whole_tree() -> None:
    assert errors.__doc__ is not None
    for error in _own():
        assert f"── {error.__name__} " in errors.__doc__
