from __future__ import annotations

from pathlib import Path

from model.data.readers import shards
from tests.model.conftest import Shard, write_rows
from tests.support.scenes import photograph


def test_records_name_places_in_the_shards_held(corpus_folder: Path) -> None:
    assert shards.recognises(corpus_folder)
    records = shards.read(corpus_folder)
    assert list(records.shards) == [str(corpus_folder / "all-00.tar")]
    image = records.stills[0].image
    (data,) = records.shards.values()
    assert data[image.offset : image.offset + 2] == b"\xff\xd8"  # a JPEG begins there
    assert [cutout.name for cutout in records.cutouts] == ["faces/0.webp", "faces/1.webp"]


def test_stills_alone_are_a_corpus(tmp_path: Path) -> None:
    shard = Shard(tmp_path / "s.tar")
    row = {"shard": "s.tar", "member": shard.add("a.jpg", photograph("coffee", 60)), "source": "x"}
    shard.close()
    write_rows(tmp_path / "stills.jsonl", [{**row, "boxes": [[1, 2, 3, 4]]}])
    records = shards.read(tmp_path)
    assert (len(records.stills), records.tracks, records.cutouts) == (1, [], [])


def test_other_folders_are_not_recognised(tmp_path: Path) -> None:
    assert not shards.recognises(tmp_path)
    (tmp_path / "cutouts.jsonl").touch()
    assert not shards.recognises(tmp_path)
