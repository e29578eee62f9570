// The frames of an MP4 file in fragments (ISO/IEC 14496-12, 8.8): each fragment lists its own, in track runs.

import { boxesOf, boxesOfFile } from "./boxes.js";

const BASE_OFFSET = 0x01;
const DESCRIPTION = 0x02;
const DURATION = 0x08;
const SIZE = 0x10;
const FLAGS = 0x20;
const RUN_OFFSET = 0x01;
const RUN_FIRST_FLAGS = 0x04;
const RUN_DURATION = 0x100;
const RUN_SIZE = 0x200;
const RUN_FLAGS = 0x400;
const RUN_DELAY = 0x800;
const NO_KEY = 0x10000;

/** The samples of track `id`, as `frameTable` says; `trex` holds the track's defaults. */
export async function fragmentedSamples(file, id, trex, timescale) {
  const defaults = { duration: trex.getUint32(12), size: trex.getUint32(16), flags: trex.getUint32(20) };
  const samples = [];
  let time = 0;
  for await (const { type, offset, read } of boxesOfFile(file)) {
    if (type !== "moof") continue;
    for (const { type: inner, body } of boxesOf(await read())) {
      if (inner !== "traf") continue;
      const boxes = [...boxesOf(body)];
      const head = headOf(boxes.find((box) => box.type === "tfhd").body, offset, defaults);
      if (head.id !== id) continue;
      const start = boxes.find((box) => box.type === "tfdt")?.body;
      if (start) time = start.getUint8(0) ? Number(start.getBigUint64(4)) : start.getUint32(4);
      let place = head.base;
      for (const { body: run } of boxes.filter((box) => box.type === "trun")) {
        ({ time, place } = readRun(run, { ...head, time, place, timescale }, samples));
      }
    }
  }
  return samples;
}

function headOf(tfhd, moof, defaults) {
  const flags = tfhd.getUint32(0);
  let at = 8;
  const next = (flag, value) => {
    if (!(flags & flag)) return value;
    at += 4;
    return tfhd.getUint32(at - 4);
  };
  const base = flags & BASE_OFFSET ? Number(tfhd.getBigUint64(at)) : moof;
  if (flags & BASE_OFFSET) at += 8;
  next(DESCRIPTION, 0);
  const [duration, size] = [next(DURATION, defaults.duration), next(SIZE, defaults.size)];
  return { id: tfhd.getUint32(4), base, duration, size, flags: next(FLAGS, defaults.flags) };
}

/** Adds a run's samples; returns the time and the place behind it. */
function readRun(trun, { base, duration, size, flags, time, place, timescale }, samples) {
  const has = (flag) => (trun.getUint32(0) & flag) !== 0;
  let at = 8;
  const next = (flag, value) => {
    if (!has(flag)) return value;
    at += 4;
    return trun.getUint32(at - 4);
  };
  if (has(RUN_OFFSET)) place = base + (next(RUN_OFFSET, 0) | 0);
  const firstFlags = next(RUN_FIRST_FLAGS, null);
  for (let k = 0; k < trun.getUint32(4); k += 1) {
    const [lasts, bytes] = [next(RUN_DURATION, duration), next(RUN_SIZE, size)];
    const own = next(RUN_FLAGS, k === 0 && firstFlags !== null ? firstFlags : flags);
    const delay = next(RUN_DELAY, 0) | 0;
    samples.push({ offset: place, size: bytes, time: (time + delay) / timescale, key: !(own & NO_KEY) });
    time += lasts;
    place += bytes;
  }
  return { time, place };
}

/** The defaults of track `id` in an mvex box. */
export function trexOf(mvex, id) {
  for (const { type, body } of boxesOf(mvex)) {
    if (type === "trex" && body.getUint32(4) === id) return body;
  }
  throw new RangeError(`track ${id} has no defaults for its fragments`);
}
