"""The documentation says what the code does."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest

from service.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in ROOT.glob("**/*.md") if not {".venv", "node_modules"} & set(path.parts))


def _settings_rows() -> dict[str, tuple[str, str]]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("<!-- settings:")[2].partition("<!-- /settings -->")[0]
    cells = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    return {name: (default.strip("` "), meaning) for name, default, meaning in cells}


def test_the_settings_table_names_every_setting_and_no_other() -> None:
    assert list(_settings_rows()) == [PREFIX + name.upper() for name in Settings.model_fields]


def _shown(default: object) -> str:
    """A setting's default as its environment variable would be written."""
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None else f"{default:g}" if isinstance(default, float) else str(default)


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_the_settings_table_says_default_and_meaning(name: str) -> None:
    field = Settings.model_fields[name]
    default, meaning = _settings_rows()[PREFIX + name.upper()]
    assert default == _shown(field.default)
    assert meaning == field.description


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    missing = [target for target in local if not (page.parent / target).exists()]
    assert not missing


def test_every_make_target_that_the_documents_name_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z]+)", page.read_text(encoding="utf-8"))}
    assert named
    assert named <= known


def test_the_readme_s_picture_can_be_drawn_again(tmp_path: Path) -> None:
    module = runpy.run_path(str(ROOT / "docs/pictures/render.py"))
    module["main"](tmp_path / "tracked.png")
    drawn = cv2.imread(str(tmp_path / "tracked.png"))
    assert drawn is not None
    shipped = cv2.imread(str(ROOT / "docs/pictures/tracked.png"))
    assert shipped is not None
    assert drawn.shape == shipped.shape
    # Scene and weights are the same, and other CPUs round only slightly differently.
    assert float(np.abs(drawn.astype(int) - shipped).mean()) < 2
