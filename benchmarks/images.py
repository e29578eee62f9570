"""How long the slowest images take to decode, what the walk before decoding costs, and what becomes of mutated ones.

The slowest are as large as `MAX_FRAME_PIXELS` and `MAX_FRAME_BYTES` allow by default, each crafted to ask its decoder
for as much work as its format lets it say. Times are those of the thread on its processor, so a busy machine distorts
them little; the waiting time beside them is what a client would see. Aimed at: 2 s at most, and no error but the
decoder's own for any mutated image.
"""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import _crafted_jpeg as jpeg
from benchmarks import _crafted_png as png
from benchmarks import _crafted_webp as webp
from benchmarks._machine import facts
from benchmarks._mutations import corpus, mutated
from model.encoded.walk import walk
from model.errors import ModelError
from model.images import decode

AIM_S = 2.0
"""Seconds that any image may take."""

_MAX_PIXELS, _MAX_BYTES = 4096 * 4096, 8 * 2**20
_MUTATED_PIXELS = 1_000_000
"""Pixels of a mutated image whose header has grown."""
_CHECKED_EVERY = 50_000


def run(mutations: int = 500_000, side: int = 4096, repeats: int = 20, seed: int = 0) -> dict[str, Any]:
    """Crafted images of `side` squared pixels; ordinary ones decoded `repeats` times; `mutations` in all."""
    machine = facts()
    slowest = {name: _timed(make) for name, make in _crafted(side).items()}
    ordinary = {name: _walked(data, repeats) for name, data in _ordinary().items()}
    return {
        "machine": machine,
        "side": side,
        "crafted": slowest,
        "ordinary": ordinary,
        "mutated": _mutate(mutations, seed),
        "aims": {"decode_s": AIM_S, "other_errors": 0},
    }


def _crafted(side: int) -> dict[str, Callable[[], bytes]]:
    share = side / 4096
    tall = 65_535, max(1, side * side // 65_535)
    return {
        "jpeg, 22 scans over every block": lambda: jpeg.refined(side, side, 3, 22),
        "jpeg, the same and a doubt at its end": lambda: jpeg.refined(side, side, 3, 22, doubt=True),
        "jpeg, 22 scans over every coefficient": lambda: jpeg.repeated(side, side, 3, 22),
        "jpeg, 250 scans": lambda: jpeg.refined(side // 4, side // 4, 1, 250, doubt=True),
        "jpeg, dense": lambda: jpeg.dense(side, side, 3, 40),
        "jpeg, dense, 4 columns of luma to one": lambda: jpeg.dense(side, side, 3, 60, sampling=4),
        "jpeg, dense, four components": lambda: jpeg.dense(side, side, 4, 30),
        "jpeg, one scan, smoothed": lambda: jpeg.smoothed(side, side, 4),
        "png, 16 bits": lambda: png.plain(side, side, int(1_900 * share)),
        "png, 16 bits, tall": lambda: png.plain(tall[1], tall[0], int(100 * share)),
        "png, 16 bits, 16,000 chunks": lambda: png.plain(side, side, int(1_800 * share), chunks=16_000),
        "png, 16 bits, code tables": lambda: png.tabled(side, side, int(_MAX_BYTES * share * share)),
        "webp, lossless, 65,536 groups of codes": lambda: webp.many_codes(side, side),
        "webp, lossy noise": lambda: webp.riff(webp.noise(side, side, 5)),
        "webp, the same and 65,536 groups of alpha codes": lambda: webp.with_alpha(side, side, 5),
    }


def _timed(make: Callable[[], bytes]) -> dict[str, Any]:
    data = make()
    assert len(data) <= _MAX_BYTES, len(data)
    waited, begun = time.perf_counter(), time.thread_time()
    shape = decode(data, _MAX_PIXELS).shape
    decode_s, waited = time.thread_time() - begun, time.perf_counter() - waited
    return {
        "bytes": len(data),
        "pixels": shape[0] * shape[1],
        "decode_s": round(decode_s, 3),
        "wall_s": round(waited, 3),
    }


def _ordinary() -> dict[str, bytes]:
    steps = np.random.default_rng(0).normal(0, 3, (1080, 1920, 3))
    picture = Image.fromarray(np.clip(np.cumsum(steps, 1) + 128, 0, 255).astype(np.uint8))
    ways: dict[str, tuple[str, dict[str, Any]]] = {
        "jpeg": ("JPEG", {}),
        "progressive jpeg": ("JPEG", {"progressive": True}),
        "jpeg with exif": ("JPEG", {"exif": b"Exif\0\0" + bytes(20_000)}),
        "png": ("PNG", {"compress_level": 1}),
        "webp": ("WEBP", {"method": 0}),
    }
    made = {}
    for size in ((640, 480), (1920, 1080)):
        for name, (kind, options) in ways.items():
            buffer = io.BytesIO()
            picture.crop((0, 0, *size)).save(buffer, kind, **options)
            made[f"{name} {size[0]} x {size[1]}"] = buffer.getvalue()
    return made


def _walked(data: bytes, repeats: int) -> dict[str, Any]:
    """The median time of the walk, and of decoding with it."""
    times: dict[Callable[[bytes, int], Any], list[float]] = {walk: [], decode: []}
    for _ in range(repeats):
        for call, found in times.items():
            begun = time.thread_time()
            call(data, _MAX_PIXELS)
            found.append(time.thread_time() - begun)
    walk_s, decode_s = (float(np.median(found)) for found in times.values())
    return {"bytes": len(data), "walk_us": round(walk_s * 1e6, 1), "decode_ms": round(decode_s * 1e3, 3)}


def _mutate(count: int, seed: int) -> dict[str, Any]:
    rng, images = np.random.default_rng(seed), list(corpus().items())
    outcomes: dict[str, Counter[str]] = {}
    errors: list[str] = []
    slowest = (0.0, "")
    for index in range(count):
        name, data = images[index % len(images)]
        damaged = mutated(data, rng)
        begun = time.thread_time()
        try:
            decode(damaged, _MUTATED_PIXELS)
            outcome = "decoded"
        except ModelError:
            outcome = "refused"
        except Exception as error:
            outcome = "other"
            errors.append(f"{name}: {error!r}: {damaged.hex()}")
        slowest = max(slowest, (time.thread_time() - begun, name))
        outcomes.setdefault(name.partition(" ")[0], Counter())[outcome] += 1
        if index % _CHECKED_EVERY == _CHECKED_EVERY - 1:
            print(
                f"{index + 1} mutated: {len(errors)} other errors, slowest {slowest[0]:.3f} s, {slowest[1]}", flush=True
            )
    return {
        "images": count,
        "seed": seed,
        "outcomes": {name: dict(found) for name, found in outcomes.items()},
        "other_errors": errors[:10],
        "slowest_s": round(slowest[0], 3),
        "slowest": slowest[1],
    }


def table(result: dict[str, Any]) -> list[list[str]]:
    """The crafted images, then the ordinary ones, then the mutated ones."""
    rows = [["image", "bytes", "decoding, processor", "walk"]]
    rows += [[name, str(each["bytes"]), f"{each['decode_s']:.2f} s", ""] for name, each in result["crafted"].items()]
    rows += [
        [name, str(each["bytes"]), f"{each['decode_ms']:.1f} ms", f"{each['walk_us']:.0f} us"]
        for name, each in result["ordinary"].items()
    ]
    mutations = result["mutated"]
    for name, found in mutations["outcomes"].items():
        counts = ", ".join(f"{count} {outcome}" for outcome, count in found.items())
        rows.append([f"mutated {name}", counts, f"at most {mutations['slowest_s']:.2f} s", ""])
    return rows
