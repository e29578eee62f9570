// The frames that an MP4 or QuickTime file lists (ISO/IEC 14496-12), read from its sample tables.

import { boxesOf, boxesOfFile, part, text } from "./boxes.js";
import { av1Codec, avcCodec, hevcCodec, vp9Codec } from "./codec_names.js";
import { fragmentedSamples, trexOf } from "./fragments.js";

const CONTAINERS = new Set(["moov", "trak", "mdia", "minf", "stbl", "edts"]);
const ENTRY_HEADER = 86; // A video sample entry's fields before its own boxes, with the box's header.

/** As `frameTable` says, or null where this is no such file or has no video. */
export async function readMp4(file) {
  const moov = await findMoov(file);
  if (!moov) return null;
  for (const track of tracksOf(moov)) {
    if (!track.hdlr || text(track.hdlr, 8) !== "vide" || !track.stsd) continue;
    const entry = sampleEntry(track.stsd);
    const samples = track.stsz.getUint32(8) || !track.mvex ? samplesOf(track) : await fragmentsOf(track, file);
    if (entry && samples.length) return { ...entry, rotation: rotationOf(track.tkhd), samples };
  }
  return null;
}

async function findMoov(file) {
  for await (const { type, read } of boxesOfFile(file)) {
    if (type === "moov") return read();
  }
  return null;
}

/** One object a track, with a view of each box in it by type; the boxes' headers are left out. */
function tracksOf(moov) {
  const tracks = [];
  const walk = (view, boxes) => {
    for (const { type, body } of boxesOf(view)) {
      if (type === "trak") tracks.push({});
      if (CONTAINERS.has(type)) walk(body, type === "trak" ? tracks.at(-1) : boxes);
      else boxes[type] ??= body;
      if (type === "mvhd") tracks.timescale = body.getUint32(body.getUint8(0) ? 20 : 12);
    }
  };
  walk(moov, {});
  const mvex = [...boxesOf(moov)].find((box) => box.type === "mvex")?.body;
  for (const track of tracks) Object.assign(track, { mvex, movieTimescale: tracks.timescale ?? 1000 });
  return tracks;
}

function fragmentsOf({ mvex, tkhd, mdhd }, file) {
  const id = tkhd.getUint32(tkhd.getUint8(0) ? 20 : 12);
  return fragmentedSamples(file, id, trexOf(mvex, id), timescaleOf(mdhd));
}

function timescaleOf(mdhd) {
  return mdhd.getUint32(mdhd.getUint8(0) ? 20 : 12);
}

function sampleEntry(stsd) {
  const size = stsd.getUint32(8);
  const type = text(stsd, 12);
  const entry = part(stsd, 8, 8 + size);
  const boxes = Object.fromEntries([...boxesOf(entry, ENTRY_HEADER)].map(({ type: name, body }) => [name, body]));
  const facts = { size: { width: entry.getUint16(32), height: entry.getUint16(34) } };
  if (boxes.avcC) return { ...facts, codec: avcCodec(boxes.avcC), description: boxes.avcC };
  if (boxes.hvcC) return { ...facts, codec: hevcCodec(boxes.hvcC, type), description: boxes.hvcC };
  if (boxes.av1C) return { ...facts, codec: av1Codec(boxes.av1C) };
  if (boxes.vpcC) return { ...facts, codec: type === "vp08" ? "vp8" : vp9Codec(boxes.vpcC) };
  return { ...facts, codec: null };
}

/** Degrees clockwise that the picture is to be turned by: a phone held upright writes 90. */
function rotationOf(tkhd) {
  const matrix = tkhd.getUint8(0) ? 52 : 40;
  const [a, b] = [tkhd.getInt32(matrix), tkhd.getInt32(matrix + 4)].map(Math.sign);
  return ((Math.round((Math.atan2(b, a) * 180) / Math.PI) % 360) + 360) % 360;
}

function samplesOf({ mdhd, stts, ctts, stss, stsz, stsc, stco, co64, elst, movieTimescale }) {
  const timescale = timescaleOf(mdhd);
  const count = stsz.getUint32(8);
  const fixed = stsz.getUint32(4);
  const delays = ctts ? runs(ctts, (view, at) => view.getInt32(at)) : null;
  const steps = runs(stts, (view, at) => view.getUint32(at));
  const keys = stss ? new Set(list(stss, 8, stss.getUint32(4)).map((number) => number - 1)) : null;
  const offsets = offsetsOf(stsc, stco, co64);
  const samples = [];
  let time = 0;
  for (let k = 0; k < count; k += 1) {
    const size = fixed || stsz.getUint32(12 + 4 * k);
    const shownAt = time + (delays?.next().value ?? 0);
    samples.push({ offset: offsets.next(size), size, time: shownAt / timescale, key: keys?.has(k) ?? true });
    time += steps.next().value;
  }
  return elst ? edited(samples, elst, timescale, movieTimescale) : samples;
}

/** Hides what a single edit cuts off (the frames before a trimmed clip's beginning, which only serve to decode it). */
function edited(samples, elst, timescale, movieTimescale) {
  const [wide, count] = [elst.getUint8(0) === 1, elst.getUint32(4)];
  if (count !== 1) return samples;
  const start = (wide ? Number(elst.getBigInt64(16)) : elst.getInt32(12)) / timescale;
  const length = (wide ? Number(elst.getBigUint64(8)) : elst.getUint32(8)) / movieTimescale;
  if (start < 0) return samples;
  const slack = 1e-3;
  const within = (time) => time >= start - slack && (length === 0 || time < start + length + slack);
  return samples.map((sample) => ({ ...sample, visible: within(sample.time) }));
}

/** The values of a run-length table (stts, ctts), one a sample. */
function* runs(view, value) {
  for (let k = 0; k < view.getUint32(4); k += 1) {
    const length = view.getUint32(8 + 8 * k);
    for (let n = 0; n < length; n += 1) yield value(view, 12 + 8 * k);
  }
}

/** Where samples lie, asked for in order with their sizes: chunks of so many samples, one behind another. */
function offsetsOf(stsc, stco, co64) {
  const rows = stsc.getUint32(4);
  const chunkAt = (chunk) => (stco ? stco.getUint32(8 + 4 * chunk) : Number(co64.getBigUint64(8 + 8 * chunk)));
  let [chunk, row, inChunk, offset] = [-1, 0, 0, 0];
  return {
    next(size) {
      if (inChunk === 0) {
        chunk += 1;
        while (row + 1 < rows && stsc.getUint32(8 + 12 * (row + 1)) <= chunk + 1) row += 1;
        inChunk = stsc.getUint32(12 + 12 * row);
        offset = chunkAt(chunk);
      }
      inChunk -= 1;
      offset += size;
      return offset - size;
    },
  };
}

function list(view, start, count) {
  return Array.from({ length: count }, (_, k) => view.getUint32(start + 4 * k));
}
