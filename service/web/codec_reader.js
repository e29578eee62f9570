// Frames of a video decoded with WebCodecs, in order; going back or far ahead begins again at a key frame.

import { rateOf, timesOf } from "./frame_times.js";

/** Chunks the decoder may have waiting, and decoded frames that may wait to be taken: it has few pictures to give. */
const AHEAD = 6;
const READ_AHEAD = 1 << 21;

/** Whether this browser decodes what the table says. False on pages that are neither https nor localhost. */
export async function decodable(table) {
  if (!("VideoDecoder" in globalThis) || !table.codec) return false;
  const { supported } = await VideoDecoder.isConfigSupported(configOf(table)).catch(() => ({}));
  return Boolean(supported);
}

function configOf({ codec, description, size }) {
  const config = { codec, codedWidth: size.width, codedHeight: size.height };
  return description ? { ...config, description } : config;
}

export class CodecReader {
  #file;
  #table;
  #times;
  /** Numbers of shown frames by the decoder's timestamps (microseconds). */
  #numbers = new Map();
  #decoder = null;
  #next = 0;
  #flushed = false;
  #decoded = new Map();
  #failure = null;
  #wake = () => {};
  #frame = null;
  #index = -1;
  #bytes = { from: 0, data: new Uint8Array() };

  pace = null;

  constructor(file, table) {
    this.#file = file;
    this.#table = table;
    this.#times = timesOf(table);
    table.shown.forEach((place, number) => this.#numbers.set(stamp(table.samples[place]), number));
    this.name = file.name;
    this.count = table.shown.length;
    this.rate = rateOf(this.#times);
  }

  /** Throws where the first frame cannot be decoded after all. */
  static async open(file, table) {
    const reader = new CodecReader(file, table);
    await reader.load(0);
    if (!reader.#frame) throw new Error(`${file.name}: the first frame cannot be decoded.`);
    const { width, height } = reader.#frame.visibleRect;
    reader.size = table.rotation % 180 ? { width: height, height: width } : { width, height };
    return reader;
  }

  /** A frame that cannot be decoded leaves the one before it in view. Throws where the decoder fails. */
  async load(index) {
    if (index >= this.count) return false;
    if (index === this.#index) return true;
    const begin = this.#keyBefore(index);
    if (!this.#decoder || index < this.#index || begin > this.#next) this.#restart(begin);
    await this.#decodeUntil(index);
    const frame = this.#decoded.get(index);
    if (frame) {
      this.#decoded.delete(index);
      this.#frame?.close();
      this.#frame = frame;
    }
    this.#index = index;
    return true;
  }

  paint(context) {
    const { rotation } = this.#table;
    const { width, height } = this.size;
    const [w, h] = rotation % 180 ? [height, width] : [width, height];
    context.save();
    context.translate(width / 2, height / 2);
    context.rotate((rotation * Math.PI) / 180);
    context.drawImage(this.#frame, -w / 2, -h / 2, w, h);
    context.restore();
  }

  time(index) {
    return this.#times[index];
  }

  stop() {
    this.#drop();
    this.#frame?.close();
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
  }

  /** The number, in decoding order, of the key frame from which frame `index` can be decoded. */
  #keyBefore(index) {
    const { samples, shown } = this.#table;
    let place = shown[index];
    while (place > 0 && !(samples[place].key && samples[place].time <= samples[shown[index]].time)) place -= 1;
    return place;
  }

  #restart(place) {
    this.#drop();
    if (this.#decoder && this.#decoder.state !== "closed") this.#decoder.close();
    this.#failure = null;
    this.#decoder = new VideoDecoder({
      output: (frame) => this.#take(frame),
      error: (error) => {
        this.#failure = error;
        this.#wake();
      },
    });
    this.#decoder.ondequeue = () => this.#wake();
    this.#decoder.configure(configOf(this.#table));
    this.#next = place;
    this.#flushed = false;
    this.#index = -1;
  }

  #take(frame) {
    const number = this.#numbers.get(frame.timestamp);
    if (number === undefined || number <= this.#index || this.#decoded.has(number)) frame.close();
    else this.#decoded.set(number, frame);
    this.#wake();
  }

  #drop() {
    for (const frame of this.#decoded.values()) frame.close();
    this.#decoded.clear();
  }

  async #decodeUntil(index) {
    const { samples } = this.#table;
    while (!this.#decoded.has(index)) {
      for (const [number, frame] of this.#decoded) {
        if (number > index) continue;
        frame.close();
        this.#decoded.delete(number);
      }
      if (this.#failure) throw new Error(`${this.name}: frame ${index} cannot be decoded.`);
      // A later one has come, or all have: this one is damaged or is not there.
      if (this.#decoded.size || this.#flushed) return;
      if (this.#next >= samples.length) {
        await this.#decoder.flush().catch(() => {});
        this.#flushed = true;
      } else if (this.#decoder.decodeQueueSize < AHEAD) {
        await this.#feed(samples[this.#next]);
      } else {
        await new Promise((resolve) => (this.#wake = resolve));
      }
    }
  }

  async #feed(sample) {
    this.#next += 1;
    const data = await this.#read(sample.offset, sample.size);
    if (this.#decoder.state !== "configured") return;
    this.#decoder.decode(new EncodedVideoChunk({ type: sample.key ? "key" : "delta", timestamp: stamp(sample), data }));
    // The decoder's outputs come as tasks of their own.
    await new Promise((resolve) => setTimeout(resolve));
  }

  async #read(offset, size) {
    const { from, data } = this.#bytes;
    if (offset < from || offset + size > from + data.length) {
      const part = this.#file.slice(offset, offset + Math.max(size, READ_AHEAD));
      this.#bytes = { from: offset, data: new Uint8Array(await part.arrayBuffer()) };
    }
    return this.#bytes.data.subarray(offset - this.#bytes.from, offset - this.#bytes.from + size);
  }
}

/** A sample's time in whole microseconds, as the decoder hands it through. */
function stamp({ time }) {
  return Math.round(time * 1e6);
}
