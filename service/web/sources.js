// Where frames come from. Every source has: size, advance(now) → whether there is a new frame, paint(ctx),
// play(), pause(), stop(), ended, live; a source with a known truth has truth(); one that can be sought has seek(share).

import { DEMO_SIZE, DemoScene } from "./demo.js";

const LONGEST_SIDE = 960;
const LEAST_INTERVAL_MS = 1000 / 31;

function fitted(width, height) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** Lets at most about thirty frames a second through. */
class Pace {
  #last = -Infinity;

  due(now) {
    if (now - this.#last < LEAST_INTERVAL_MS) return false;
    this.#last = now;
    return true;
  }
}

export class DemoSource {
  #scene = new DemoScene();
  #pace = new Pace();
  #time = 0;
  #last = null;

  size = DEMO_SIZE;
  ended = false;
  live = false;

  play() {
    this.#last = performance.now();
  }

  pause() {
    this.#last = null;
  }

  stop() {}

  advance(now) {
    if (!this.#pace.due(now)) return false;
    if (this.#last !== null) {
      // A hidden tab or a long pause must not teleport the insects.
      this.#time += Math.min(now - this.#last, 100) / 1000;
      this.#last = now;
    }
    return true;
  }

  paint(ctx) {
    this.#scene.paint(ctx, this.#time);
  }

  truth() {
    return this.#scene.truth(this.#time);
  }
}

class ElementSource {
  #pace = new Pace();
  #lastTime = -1;

  constructor(video, live) {
    this.video = video;
    this.live = live;
    this.size = fitted(video.videoWidth, video.videoHeight);
  }

  get ended() {
    return this.video.ended;
  }

  play() {
    return this.video.play();
  }

  pause() {
    if (!this.live) this.video.pause();
  }

  advance(now) {
    const { currentTime, readyState, seeking } = this.video;
    if (seeking || readyState < HTMLMediaElement.HAVE_CURRENT_DATA || currentTime === this.#lastTime) return false;
    if (!this.#pace.due(now)) return false;
    this.#lastTime = currentTime;
    return true;
  }

  paint(ctx) {
    ctx.drawImage(this.video, 0, 0, this.size.width, this.size.height);
  }
}

function loaded(video, failure) {
  return new Promise((resolve, reject) => {
    video.addEventListener("loadeddata", () => resolve(video), { once: true });
    video.addEventListener("error", () => reject(new Error(failure)), { once: true });
  });
}

export class CameraSource extends ElementSource {
  static async open() {
    if (!navigator.mediaDevices) throw new Error("The browser gives cameras to https pages and localhost only.");
    let media;
    try {
      media = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 1280 }, facingMode: "environment" },
        audio: false,
      });
    } catch (error) {
      const refused = error.name === "NotAllowedError";
      throw new Error(refused ? "The browser was not allowed to use the camera." : "No camera could be opened.");
    }
    const video = document.createElement("video");
    Object.assign(video, { muted: true, playsInline: true, srcObject: media });
    await Promise.all([loaded(video, "The camera gives no picture."), video.play()]);
    return new CameraSource(video, true);
  }

  stop() {
    for (const track of this.video.srcObject.getTracks()) track.stop();
  }
}

class VideoSource extends ElementSource {
  static async open(file) {
    const video = document.createElement("video");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", src: URL.createObjectURL(file) });
    await loaded(video, `${file.name}: this browser cannot play it.`);
    return new VideoSource(video, false);
  }

  seek(share) {
    this.video.currentTime = share * this.video.duration;
  }

  stop() {
    this.video.pause();
    URL.revokeObjectURL(this.video.src);
  }
}

/** The source that those files make: the first video among them, else all the images. */
export function openFiles(files) {
  const video = files.find((file) => file.type.startsWith("video/"));
  if (video) return VideoSource.open(video);
  const images = files.filter((file) => file.type.startsWith("image/"));
  if (images.length) return ImagesSource.open(images);
  throw new Error("This is neither a video nor an image.");
}

/** Several still images, in the order of their names. */
class ImagesSource {
  #files;
  #bitmap;
  #at = 0;
  #loading = false;
  #fresh = true;
  #playing = false;

  live = false;

  constructor(files, bitmap) {
    this.#files = files;
    this.#bitmap = bitmap;
    this.size = fitted(bitmap.width, bitmap.height);
  }

  static async open(files) {
    const sorted = [...files].sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    return new ImagesSource(sorted, await ImagesSource.#read(sorted[0]));
  }

  static async #read(file) {
    try {
      return await createImageBitmap(file, { imageOrientation: "none" });
    } catch {
      throw new Error(`${file.name}: this browser cannot read it as an image.`);
    }
  }

  get ended() {
    return this.#playing && !this.#fresh && this.#at >= this.#files.length - 1;
  }

  play() {
    this.#playing = true;
  }

  pause() {
    this.#playing = false;
  }

  seek(share) {
    this.#load(Math.round(share * (this.#files.length - 1)));
  }

  stop() {
    this.#bitmap.close();
  }

  advance() {
    if (this.#loading) return false;
    if (this.#fresh) {
      this.#fresh = false;
      return true;
    }
    if (this.#playing && this.#at < this.#files.length - 1) this.#load(this.#at + 1);
    return false;
  }

  async #load(index) {
    this.#loading = true;
    try {
      const bitmap = await ImagesSource.#read(this.#files[index]);
      this.#bitmap.close();
      this.#bitmap = bitmap;
    } catch {
      // A damaged file in the middle: the image before it stays in view.
    }
    this.#at = index;
    this.#fresh = true;
    this.#loading = false;
  }

  paint(ctx) {
    ctx.drawImage(this.#bitmap, 0, 0, this.size.width, this.size.height);
  }
}
