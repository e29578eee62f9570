// The frames that a WebM or Matroska file holds (RFC 9559), found by walking over the headers of its elements.

import { av1Codec, avcCodec, hevcCodec } from "./codec_names.js";

const EBML = 0x1a45dfa3;
const SEGMENT = 0x18538067;
const CLUSTER = 0x1f43b675;
const TRACKS = 0x1654ae6b;
const TRACK_ENTRY = 0xae;
const INFO = 0x1549a966;
const VIDEO = 0xe0;
const BLOCK_GROUP = 0xa0;
const SIMPLE_BLOCK = 0xa3;
const BLOCK = 0xa1;
const REFERENCE = 0xfb;

/** Elements that are entered; all others are read or stepped over. */
const MASTERS = new Set([SEGMENT, CLUSTER, TRACKS, TRACK_ENTRY, INFO, VIDEO, BLOCK_GROUP]);
const TIMESTAMP_SCALE = 0x2ad7b1;
const CLUSTER_TIME = 0xe7;
const TRACK_FIELDS = new Map([[0xd7, "number"], [0x83, "type"], [0x86, "codecId"], [0x63a2, "private"], [0xb0, "width"], [0xba, "height"]]);
const VIDEO_TYPE = 1;
const CHUNK = 1 << 20;

/** As `frameTable` says, or null where this is no such file or its frames are laced. */
export async function readWebm(file) {
  const reader = new Reader(file);
  if ((await reader.element())?.id !== EBML) return null;
  const walk = { tracks: [], scale: 1e6, clusterTime: 0, samples: [] };
  reader.at = 0;
  for (;;) {
    const element = await reader.element();
    if (!element) break;
    if (MASTERS.has(element.id)) {
      if (element.id === TRACK_ENTRY) walk.tracks.push({});
      continue;
    }
    await note(walk, element, reader);
    reader.at = element.end;
  }
  const track = videoOf(walk);
  return track ? tableOf(track, walk) : null;
}

async function note(walk, { id, start, end }, reader) {
  if (id === TIMESTAMP_SCALE) walk.scale = await reader.number(start, end);
  else if (id === CLUSTER_TIME) walk.clusterTime = await reader.number(start, end);
  else if (TRACK_FIELDS.has(id) && walk.tracks.length) walk.tracks.at(-1)[TRACK_FIELDS.get(id)] = await reader.bytes(start, end);
  else if (id === REFERENCE && walk.samples.length) walk.samples.at(-1).key = false;
  else if (id === SIMPLE_BLOCK || id === BLOCK) walk.samples.push(await blockAt(walk, id, start, end, reader));
}

async function blockAt({ clusterTime, scale }, id, start, end, reader) {
  const head = await reader.bytes(start, Math.min(end, start + 16));
  const width = Math.clz32(head[0]) - 23; // A track's number is one byte, but for files with more than 126 tracks.
  const track = width === 1 ? head[0] & 0x7f : ((head[0] & 0x3f) << 8) | head[1];
  const delay = ((head[width] << 8) | head[width + 1]) << 16 >> 16;
  const flags = head[width + 2];
  const offset = start + width + 3;
  return {
    track,
    offset,
    size: end - offset,
    time: ((clusterTime + delay) * scale) / 1e9,
    key: id === BLOCK || (flags & 0x80) !== 0,
    laced: (flags & 0x06) !== 0,
    hidden: (flags & 0x08) !== 0,
    first: head[width + 3],
  };
}

function videoOf({ tracks }) {
  const read = (bytes) => (bytes ?? []).reduce((value, byte) => value * 256 + byte, 0);
  for (const track of tracks) {
    if (read(track.type) !== VIDEO_TYPE) continue;
    const codecId = String.fromCharCode(...(track.codecId ?? []));
    return { codecId, private: track.private, number: read(track.number), size: { width: read(track.width), height: read(track.height) } };
  }
  return null;
}

function tableOf(track, walk) {
  const samples = walk.samples.filter((sample) => sample.track === track.number);
  if (samples.some((sample) => sample.laced)) return null;
  // An alternate reference frame of VP8 is a block of its own that is never shown (RFC 6386, 9.1).
  const hidden = (sample) => sample.hidden || (track.codecId === "V_VP8" && !(sample.first & 0x10));
  return {
    ...codecOf(track),
    size: track.size,
    rotation: 0,
    samples: samples.map(({ offset, size, time, key, ...rest }) => ({ offset, size, time, key, visible: !hidden(rest) })),
  };
}

function codecOf({ codecId, private: bytes }) {
  const record = bytes && new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (codecId === "V_VP8") return { codec: "vp8" };
  if (codecId === "V_VP9") return { codec: "vp09.00.10.08" };
  if (codecId === "V_AV1" && record) return { codec: av1Codec(record) };
  if (codecId === "V_MPEG4/ISO/AVC" && record) return { codec: avcCodec(record), description: record };
  if (codecId === "V_MPEGH/ISO/HEVC" && record) return { codec: hevcCodec(record), description: record };
  return { codec: null };
}

/** Reads elements and bytes, a chunk of the file at a time. */
class Reader {
  #file;
  #chunk = new Uint8Array();
  #from = 0;

  at = 0;

  constructor(file) {
    this.#file = file;
  }

  async bytes(start, end) {
    if (start < this.#from || end > this.#from + this.#chunk.length) {
      const until = Math.max(end, start + CHUNK);
      this.#chunk = new Uint8Array(await this.#file.slice(start, until).arrayBuffer());
      this.#from = start;
    }
    return this.#chunk.slice(start - this.#from, end - this.#from);
  }

  async number(start, end) {
    return (await this.bytes(start, end)).reduce((value, byte) => value * 256 + byte, 0);
  }

  /** The element at `at`, which moves to its content; null at the end. An unknown size ends with the file. */
  async element() {
    const head = await this.bytes(this.at, Math.min(this.#file.size, this.at + 12));
    if (head.length < 2 || head[0] === 0) return null;
    const idLength = Math.clz32(head[0]) - 23;
    const id = head.slice(0, idLength).reduce((value, byte) => value * 256 + byte, 0);
    const first = head[idLength];
    if (!first) return null;
    const length = Math.clz32(first) - 23;
    const rest = head.slice(idLength + 1, idLength + length);
    const value = rest.reduce((sum, byte) => sum * 256 + byte, first & (0xff >> length));
    const unknown = value === 2 ** (7 * length) - 1;
    const start = this.at + idLength + length;
    this.at = start;
    return { id, start, end: unknown ? this.#file.size : Math.min(this.#file.size, start + value) };
  }
}
