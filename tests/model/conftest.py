"""A training corpus of a few rendered pictures, written once."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from model.data.corpus import Corpus
from model.data.records import Member
from model.training.config import AugmentConfig
from tests.support.scenes import Scene, face, leaving_and_returning, occlusion, photograph, translation


class Shard:
    """A tar being filled with encoded images."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by close()

    def add(self, name: str, image: np.ndarray) -> str:
        """Put an RGB (jpg) or RGBA (webp) image in; returns its name."""
        conversion = cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        data = cv2.imencode(Path(name).suffix, cv2.cvtColor(image, conversion))[1].tobytes()
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        self._tar.addfile(entry, io.BytesIO(data))
        return name

    def close(self) -> None:
        self._tar.close()


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def clip_row(shard: Shard, source: str, name: str, scene: Scene, **more: Any) -> dict[str, Any]:
    frames = [shard.add(f"{source}/{name}/{index:04d}.jpg", frame) for index, frame in enumerate(scene.frames)]
    boxes = [box.tolist() if there else None for box, there in zip(scene.truth, scene.present, strict=True)]
    return {
        "shard": shard.name,
        "clip": f"{source}/{name}",
        "source": source,
        "frames": frames,
        "tracks": [{"id": 0, "boxes": boxes}],
        **more,
    }


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    shard = Shard(folder / "all-00.tar")
    stills = [
        {
            "shard": shard.name,
            "member": shard.add(f"{source}/{name}.jpg", photograph(name, 200)),
            "source": source,
            "boxes": boxes,
        }
        for source, name, boxes in (
            ("pets", "chelsea", [[40.0, 20, 60, 50], [100, 60, 40, 30]]),
            ("kitchen", "coffee", [[30.0, 20, 120, 90]]),
            ("sky", "rocket", []),
        )
    ]
    videos = [
        clip_row(shard, "bows", "face", translation(6)),
        clip_row(shard, "covers", "face", occlusion(5)),
        clip_row(shard, "leaving", "face", leaving_and_returning(10)),
        clip_row(shard, "album", "face", translation(4), unordered=True),
    ]
    alpha = np.full((64, 52, 1), 255, np.uint8)
    cutouts = [
        {"shard": shard.name, "member": shard.add(f"faces/{n}.webp", np.dstack([face(), alpha])), "source": "faces"}
        for n in range(2)
    ]
    shard.close()
    write_rows(folder / "stills.jsonl", stills)
    write_rows(folder / "videos.jsonl", videos)
    write_rows(folder / "cutouts.jsonl", cutouts)
    return folder


@pytest.fixture(scope="session")
def corpus(corpus_folder: Path) -> Corpus:
    return Corpus(corpus_folder)


class Gallery:
    """Images by name, as a corpus has them by place: for the corpus, the pictures and the sizes that renderers ask."""

    def __init__(self, **images: np.ndarray) -> None:
        self.images = images

    def rgb(self, member: Member) -> np.ndarray:
        return self.images[member.shard]

    rgba = rgb

    def size(self, member: Member, channels: int = 3) -> tuple[int, int]:
        height, width = self.images[member.shard].shape[:2]
        return width, height


@pytest.fixture(scope="session")
def plain() -> AugmentConfig:
    """No variation at all but the shift."""
    names = [field.name for field in fields(AugmentConfig) if field.name != "max_shift"]
    return AugmentConfig(**dict.fromkeys(names, 0.0))
