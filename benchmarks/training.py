"""Training throughput: pairs a second, and the share of a step's time in which the network waits for data.

The loop itself runs on a small corpus written for it from scikit-image's photographs, at the sizes that corpora have
(400 px, JPEG); rendering alone is measured beside it, so that it shows which of the two is the limit.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage
import torch

from benchmarks._machine import facts
from model.arrays import RgbImage
from model.data.corpus import Corpus
from model.inference.devices import choose_device
from model.training.config import TrainingConfig, recipe
from model.training.loop import Trainer, prefetched
from model.training.parameters import autocast_dtype
from model.training.run import batches_of, pairs_a_step

RECIPES = ("default", "light", "baseline", "reference")
_WARM, _STEPS = 1, 4


def run() -> dict[str, Any]:
    """A row a recipe: pairs/s, ms a step, ms to render a batch, share of the time spent waiting."""
    with tempfile.TemporaryDirectory() as name:
        corpus = Corpus(write_corpus(Path(name)))
        return {"machine": facts(), "recipes": {each: measure(recipe(each), corpus) for each in RECIPES}}


def measure(config: TrainingConfig, corpus: Corpus) -> dict[str, Any]:
    """One recipe's steps, as the loop takes them."""
    device = choose_device("auto")
    trainer = Trainer(replace(config, source_weights={}), device)
    sampler = batches_of(corpus, trainer, device)
    sampler.batch(0)
    begun = time.perf_counter()
    for step in range(_STEPS):
        sampler.batch(step)
    _synchronise(device)
    rendering = (time.perf_counter() - begun) / _STEPS
    waited = 0.0
    with prefetched(sampler, range(_WARM + _STEPS)) as batches:
        for step in range(_WARM + _STEPS):
            if step == _WARM:
                _synchronise(device)
                begun, waited = time.perf_counter(), 0.0
            asked = time.perf_counter()
            batch = batches.get()
            waited += time.perf_counter() - asked
            if isinstance(batch, Exception):
                raise batch
            trainer.train_step(batch)
        _synchronise(device)
        taken = time.perf_counter() - begun
    dtype = autocast_dtype(config, device)
    return {
        "network": config.preset,
        "arithmetic": "float32" if dtype is None else str(dtype).removeprefix("torch."),
        "pairs_a_step": pairs_a_step(config),
        "pairs_per_s": round(pairs_a_step(config) * _STEPS / taken, 2),
        "ms_a_step": round(1e3 * taken / _STEPS, 1),
        "ms_to_render_a_batch": round(1e3 * rendering, 1),
        "share_waiting": round(waited / taken, 4),
    }


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def write_corpus(folder: Path) -> Path:
    """A corpus in our own layout: 24 stills, 6 clips of 12 frames, 8 cut-outs."""
    rng = np.random.default_rng(0)
    files = sorted((Path(skimage.__file__).parent / "data").glob("*"))
    named = [path for path in files if path.stem in ("astronaut", "chelsea", "coffee", "rocket")]
    photographs = [np.asarray(cv2.imread(str(path)), np.uint8) for path in named]
    rows: dict[str, list[dict[str, Any]]] = {"stills": [], "videos": [], "cutouts": []}
    with tarfile.open(folder / "all.tar", "w") as tar:
        for index in range(24):
            picture = _part(photographs[index % len(photographs)], rng)
            member = _add(tar, f"still-{index}.jpg", picture)
            box = [float(value) for value in (*rng.uniform(20, 150, 2), *rng.uniform(40, 120, 2))]
            rows["stills"].append({"shard": "all.tar", "member": member, "source": "stills", "boxes": [box]})
        for index in range(6):
            picture = _part(photographs[index % len(photographs)], rng)
            moved = [np.roll(picture, 3 * frame, axis=1) for frame in range(12)]
            frames = [_add(tar, f"clip-{index}/{frame}.jpg", each) for frame, each in enumerate(moved)]
            track = {"id": 0, "boxes": [[60.0 + 3 * frame, 60.0, 80.0, 60.0] for frame in range(12)]}
            rows["videos"].append(
                {"shard": "all.tar", "clip": f"clip-{index}", "source": "clips", "frames": frames, "tracks": [track]}
            )
        for index in range(8):
            alpha = np.full((120, 100, 1), 255, np.uint8)
            cutout = np.dstack([_part(photographs[index % len(photographs)], rng)[:120, :100], alpha])
            member = _add(tar, f"cutout-{index}.webp", cutout)
            rows["cutouts"].append({"shard": "all.tar", "member": member, "source": "cutouts"})
    for name, found in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return folder


def _part(photograph: RgbImage, rng: np.random.Generator) -> RgbImage:
    height, width = photograph.shape[:2]
    side = int(rng.uniform(0.6, 1.0) * min(height, width))
    x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    return np.asarray(cv2.resize(photograph[y : y + side, x : x + side], (400, 280)), np.uint8)


def _add(tar: tarfile.TarFile, name: str, image: RgbImage) -> str:
    data = cv2.imencode(Path(name).suffix, image)[1].tobytes()
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
    return name


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
