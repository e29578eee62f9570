from __future__ import annotations

from pathlib import Path

import pytest

from model.data.readers.layout import read
from model.errors import CorpusError


def test_the_layout_shows_in_the_folder(corpus_folder: Path) -> None:
    assert len(read(corpus_folder).stills) == 3


def test_what_has_no_known_layout_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"neither stills\.jsonl.*ImageNet-VID.*GOT-10k"):
        read(tmp_path)
    with pytest.raises(CorpusError, match="no such folder"):
        read(tmp_path / "none")
