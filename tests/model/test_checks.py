from __future__ import annotations

from dataclasses import dataclass

import pytest

from model.checks import FromDict, require
from model.errors import ConfigError


@dataclass(frozen=True)
class Pair(FromDict):
    first: int
    second: int = 2


def test_what_holds_passes_and_the_rest_is_told() -> None:
    require(True, "never said")
    with pytest.raises(ConfigError, match="a reason"):
        require(False, "a reason")


def test_a_mapping_becomes_a_value() -> None:
    assert Pair.from_dict({"first": 1}) == Pair(1, 2)


def test_misspelt_keys_are_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="Pair has no field secnod; it has first, second"):
        Pair.from_dict({"first": 1, "secnod": 3})
