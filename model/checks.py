"""Checks of configuration values, and building from mappings without unknown keys."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

from model.errors import ConfigError


def require(condition: bool, message: str) -> None:
    """Raises ConfigError with the message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


class FromDict:
    """Mixin: build from a mapping, refusing keys that no field has."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The value with these fields. Raises ConfigError for a key that is no field."""
        known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - known)
        require(not unknown, f"{cls.__name__} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        return cls(**values)
