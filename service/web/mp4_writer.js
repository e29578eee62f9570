// Writes an MP4 file (ISO/IEC 14496-12 and -15): one H.264 track, its index before its frames.

/** Ticks a second. */
const TIMESCALE = 90_000;
const MATRIX = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000];

/**
 * The file as a Blob. `samples` in the order of their times: {data (Uint8Array), key, time in seconds}; `description` is
 * the decoder's configuration (avcC, an ArrayBuffer); `duration` in seconds, from the first frame to the last one's end.
 */
export function mp4Of({ size, description, samples, duration }) {
  const starts = samples.map(({ time }) => Math.round((time - samples[0].time) * TIMESCALE));
  const end = Math.max(Math.round(duration * TIMESCALE), starts.at(-1) + 1);
  const track = { size, description, samples, starts, end };
  const head = box("ftyp", letters("isom"), u32(0x200), letters("isomavc1"));
  const bytes = samples.reduce((sum, { data }) => sum + data.length, 0);
  const begin = head.length + movie(track, 0).length + 8;
  const content = [head, movie(track, begin), u32(bytes + 8), letters("mdat"), ...samples.map(({ data }) => data)];
  return new Blob(content, { type: "video/mp4" });
}

/** The index; `begin` is the place of the first frame in the file. */
function movie(track, begin) {
  const { size, end } = track;
  const header = u32(0, 0, 0, TIMESCALE, end, 0x10000, 0x1000000, 0, 0, ...MATRIX, 0, 0, 0, 0, 0, 0, 2);
  const shape = u32(7, 0, 0, 1, 0, end, 0, 0, 0, 0, ...MATRIX, size.width << 16, size.height << 16);
  const media = box(
    "mdia",
    box("mdhd", u32(0, 0, 0, TIMESCALE, end, 0x55c40000)),
    box("hdlr", u32(0, 0), letters("vide"), u32(0, 0, 0), new Uint8Array(1)),
    box(
      "minf",
      box("vmhd", u32(1, 0, 0)),
      box("dinf", box("dref", u32(0, 1), box("url ", u32(1)))),
      box("stbl", ...tables(track, begin)),
    ),
  );
  return box("moov", box("mvhd", header), box("trak", box("tkhd", shape), media));
}

/** All frames lie in one chunk. */
function tables({ size, description, samples, starts, end }, begin) {
  const spans = runs(starts.map((start, place) => (starts[place + 1] ?? end) - start));
  const keys = samples.flatMap(({ key }, place) => (key ? [place + 1] : []));
  return [
    box("stsd", u32(0, 1), entry(size, description)),
    box("stts", u32(0, spans.length, ...spans.flat())),
    box("stss", u32(0, keys.length, ...keys)),
    box("stsc", u32(0, 1, 1, samples.length, 1)),
    box("stsz", u32(0, 0, samples.length, ...samples.map(({ data }) => data.length))),
    box("stco", u32(0, 1, begin)),
  ];
}

function entry({ width, height }, description) {
  const picture = [u32(0), u16(0, 1), u32(0, 0, 0, 0), u16(width, height), u32(0x480000, 0x480000, 0), u16(1)];
  return box("avc1", ...picture, new Uint8Array(32), u16(24, 0xffff), box("avcC", new Uint8Array(description)));
}

/** [count, value] for each run of equal values. */
function runs(values) {
  const found = [];
  for (const value of values) {
    if (found.at(-1)?.[1] === value) found.at(-1)[0] += 1;
    else found.push([1, value]);
  }
  return found;
}

function box(type, ...contents) {
  const size = contents.reduce((sum, content) => sum + content.length, 8);
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const content of [u32(size), letters(type), ...contents]) {
    bytes.set(content, offset);
    offset += content.length;
  }
  return bytes;
}

function u32(...values) {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, place) => view.setUint32(4 * place, value));
  return new Uint8Array(view.buffer);
}

function u16(...values) {
  const view = new DataView(new ArrayBuffer(2 * values.length));
  values.forEach((value, place) => view.setUint16(2 * place, value));
  return new Uint8Array(view.buffer);
}

function letters(text) {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
