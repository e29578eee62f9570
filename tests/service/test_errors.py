"""The tree in the docstring is the tree of classes; pointers are escaped."""

from __future__ import annotations

import inspect

import pytest

from service import errors


def drawn_tree(text: str) -> list[tuple[int, str]]:
    """(depth, name) of each line of a drawn tree, in order."""
    rows: list[tuple[int, str]] = []
    for line in text.splitlines():
        branch = line.lstrip("│├└─ ")
        if branch and (line != branch or not rows) and branch[0].isupper() and "  " in branch:
            rows.append(((len(line) - len(branch)) // 4, branch.split()[0]))
    return rows


def class_tree(root: type[errors.ServiceError], depth: int = 0) -> list[tuple[int, str]]:
    """Make (depth, name) of each class, subclasses in the order of their definition."""
    rows = [(depth, root.__name__)]
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            rows += class_tree(child, depth + 1)
    return rows


def test_the_drawn_tree_is_the_tree() -> None:
    assert drawn_tree(inspect.getdoc(errors) or "") == class_tree(errors.ServiceError)


@pytest.mark.parametrize(("_", "name"), class_tree(errors.ServiceError), ids=lambda value: str(value))
def test_every_class_says_when(_: int, name: str) -> None:
    assert getattr(errors, name).__dict__["__doc__"]


def test_an_error_carries_its_pointer_and_when_to_try_again() -> None:
    error = errors.AtCapacity("full", retry_after_s=5)
    assert (str(error), error.detail, error.pointer, error.retry_after_s) == ("full", "full", None, 5)
    box = errors.InvalidBox("bad", pointer="/box")
    assert (box.pointer, box.faults, box.retry_after_s) == ("/box", (), None)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        pytest.param((), "", id="whole-document"),
        pytest.param(("box",), "/box", id="field"),
        pytest.param(("targets", 1, "box"), "/targets/1/box", id="nested"),
        pytest.param(("a/b",), "/a~1b", id="slash"),
        pytest.param(("m~n",), "/m~0n", id="tilde"),
        pytest.param(("~1",), "/~01", id="what-looks-escaped"),
        pytest.param(("",), "/", id="empty-name"),
    ],
)
def test_pointers(path: tuple[str | int, ...], pointer: str) -> None:
    assert errors.pointer_to(*path) == pointer
