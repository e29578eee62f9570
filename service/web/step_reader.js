// Frames of a video by stepping a video element's `currentTime`: slower than decoding, but it works on every page and
// for every container that the browser plays.
//
// With a table of frame times each seek goes to the middle of a frame. Without one the times are found on the way, by
// steps of the interval between the first two frames.

import { rateOf, timesOf } from "./frame_times.js";

const FIRST_STEP_S = 1 / 120;
const LONGEST_FRAME_S = 1;
/** A frame that is not presented within this time (a page in the background) is taken as it is. */
const PATIENCE_MS = 700;

export class StepReader {
  #video;
  #times;
  #offset = 0;
  #index = -1;
  #shownAt = 0;
  #interval = null;

  pace = null;

  constructor(file, video, table) {
    this.#video = video;
    this.name = file.name;
    this.exact = table !== null;
    this.#times = table ? timesOf(table) : [0];
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
    await reader.#begin();
    return reader;
  }

  async load(index) {
    if (this.exact && index >= this.count) return false;
    while (this.#times.length <= index) {
      if (!(await this.#find())) return false;
    }
    if (index !== this.#index) await this.#seek(this.#offset + this.#middle(index));
    this.#index = index;
    return true;
  }

  paint(context) {
    context.drawImage(this.#video, 0, 0, this.size.width, this.size.height);
  }

  time(index) {
    return this.#times[index] ?? this.#times.at(-1) + (index - this.#times.length + 1) / this.rate;
  }

  stop() {
    URL.revokeObjectURL(this.#video.src);
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  async #begin() {
    await this.#seek(0);
    this.#offset = this.#shownAt;
    this.#index = 0;
    if (this.exact) return;
    // Two frames tell the interval, the interval how many frames there may be.
    for (let step = FIRST_STEP_S; step < LONGEST_FRAME_S && this.#shownAt === this.#offset; step += FIRST_STEP_S) {
      await this.#seek(this.#offset + step);
    }
    this.#interval = this.#shownAt - this.#offset || LONGEST_FRAME_S;
    this.rate = Math.round(1000 / this.#interval) / 1000;
    this.count = Math.max(1, Math.round(this.#video.duration * this.rate) || 1);
    await this.#seek(0);
  }

  /** Finds the frame behind the last one known; returns whether there is one. */
  async #find() {
    const last = this.#offset + this.#times.at(-1);
    const end = this.#video.duration;
    for (let reach = 1.25; reach < LONGEST_FRAME_S / this.#interval + 2; reach += 0.5) {
      const place = last + reach * this.#interval;
      if (place >= end + this.#interval) break;
      await this.#seek(Math.min(place, end));
      if (this.#shownAt <= last) continue;
      this.#times.push(this.#shownAt - this.#offset);
      this.#index = this.#times.length - 1;
      this.count = Math.max(this.count, this.#times.length);
      return true;
    }
    this.exact = true;
    this.count = this.#times.length;
    this.#index = -1;
    return false;
  }

  #middle(index) {
    const [time, next] = [this.#times[index], this.#times[index + 1]];
    return next === undefined ? time + 0.4 / this.rate : (time + next) / 2;
  }

  /** Seeks, and waits until the frame there is presented; notes its own time. */
  async #seek(time) {
    const video = this.#video;
    const seeked = new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
    const presented = new Promise((resolve) => {
      video.requestVideoFrameCallback?.((_, { mediaTime }) => resolve(mediaTime));
    });
    video.currentTime = time;
    await seeked;
    const waited = new Promise((resolve) => setTimeout(() => resolve(null), PATIENCE_MS));
    this.#shownAt = (await Promise.race([presented, waited])) ?? time;
  }
}
