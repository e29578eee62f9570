// Frames of a video by stepping a video element's `currentTime`: slower than decoding, but it works on every page and
// for every codec that the browser plays.

import { rateOf, timesOf } from "./frame_times.js";

/** A frame that is not presented within this time (a page in the background) is taken as it is. */
const PATIENCE_MS = 700;

export class StepReader {
  #video;
  #times;
  #offset = 0;
  #index = -1;

  pace = null;

  constructor(file, video, table) {
    this.#video = video;
    this.name = file.name;
    this.#times = timesOf(table);
    this.count = this.#times.length;
    this.rate = rateOf(this.#times);
    this.size = { width: video.videoWidth, height: video.videoHeight };
  }

  /** Null where the browser cannot play the file. */
  static async open(file, table) {
    const video = document.createElement("video");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", src: URL.createObjectURL(file) });
    const playable = await new Promise((resolve) => {
      video.addEventListener("loadeddata", () => resolve(true), { once: true });
      video.addEventListener("error", () => resolve(false), { once: true });
    });
    if (!playable || !video.videoWidth) {
      URL.revokeObjectURL(video.src);
      return null;
    }
    const reader = new StepReader(file, video, table);
    // A player may count from elsewhere than the container.
    reader.#offset = (await reader.#seek(0)) ?? 0;
    return reader;
  }

  /** Throws where the browser cannot get to the frame: some fragmented files cannot be sought exactly. */
  async load(index) {
    if (index >= this.count) return false;
    if (index === this.#index) return true;
    const [from, to] = [this.#times[index], this.#times[index + 1] ?? this.#times[index] + 1 / this.rate];
    const shownAt = await this.#seek(this.#offset + (from + to) / 2);
    if (shownAt !== null && Math.abs(shownAt - this.#offset - from) > (to - from) / 2) {
      throw new Error(`${this.name}: this browser cannot go to frame ${index}. Open the page over https or on localhost.`);
    }
    this.#index = index;
    return true;
  }

  paint(context) {
    context.drawImage(this.#video, 0, 0, this.size.width, this.size.height);
  }

  time(index) {
    return this.#times[index];
  }

  stop() {
    URL.revokeObjectURL(this.#video.src);
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  /** Seeks, and waits until the frame there is presented; returns that frame's own time, null where it is not told. */
  async #seek(time) {
    const video = this.#video;
    const seeked = new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
    const presented = new Promise((resolve) => {
      video.requestVideoFrameCallback?.((_, { mediaTime }) => resolve(mediaTime));
    });
    video.currentTime = time;
    await seeked;
    const waited = new Promise((resolve) => setTimeout(() => resolve(null), PATIENCE_MS));
    return Promise.race([presented, waited]);
  }
}
