// Where frames come from.
//
// A clip has: name, size {width, height} in the picture's own pixels, count (frames), load(index) → whether there is
// such a frame, paint(context) for the frame loaded last, time(index) in seconds, rate (frames a second), stop().
// `pace`: frames a second at most, or null. Demos have suggestion(index) → {what, box} or null; a drawn scene has
// truth(index), where things are; a work of others has `credit`.
// A camera has: live true, name, size, advance(now) → whether there is a new frame, paint(context), stop().

import { DEMO_SIZE, DemoScene } from "./demo.js";
import { openVideo } from "./video.js";

const DEMO_FRAMES = 600;
const DEMO_RATE = 30;
const DEMO_CLIP = {
  name: "bunny.mp4",
  credit: "Big Buck Bunny, © 2008 Blender Foundation, www.bigbuckbunny.org, CC BY 3.0",
  what: "the rabbit",
  box: [232, 258, 84, 88],
};
const LEAST_INTERVAL_MS = 1000 / 31;
const VIDEO_NAME = /\.(mp4|m4v|mov|webm|mkv|avi|mpe?g|ogv|wmv|flv|ts|3gp)$/i;

export class DemoSource {
  #scene = new DemoScene();
  #index = 0;

  name = "demo";
  size = DEMO_SIZE;
  count = DEMO_FRAMES;
  rate = DEMO_RATE;
  pace = DEMO_RATE;

  load(index) {
    if (index >= this.count) return false;
    this.#index = index;
    return true;
  }

  paint(context) {
    this.#scene.paint(context, this.time(this.#index));
  }

  time(index) {
    return index / DEMO_RATE;
  }

  truth(index) {
    return this.#scene.truth(this.time(index));
  }

  suggestion(index) {
    return { what: "the ladybird", box: this.truth(index).ladybird };
  }

  stop() {}
}

/** An excerpt of a film that may be passed on. */
export async function openDemoClip() {
  const { name, credit, what, box } = DEMO_CLIP;
  const response = await fetch(`/web/${name}`).catch(() => null);
  if (!response?.ok) throw new Error("The demo clip cannot be loaded.");
  const source = await openVideo(new File([await response.blob()], name));
  return Object.assign(source, { credit, suggestion: (index) => (index === 0 ? { what, box } : null) });
}

export class CameraSource {
  #video;
  #lastTime = -1;
  #lastAt = -Infinity;

  live = true;
  name = "camera";
  rate = 30;

  constructor(video) {
    this.#video = video;
    this.size = { width: video.videoWidth, height: video.videoHeight };
  }

  static async open() {
    if (!navigator.mediaDevices) throw new Error("The browser gives cameras to https pages and localhost only.");
    let media;
    try {
      const video = { width: { ideal: 1280 }, facingMode: "environment" };
      media = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    } catch (error) {
      const refused = error.name === "NotAllowedError";
      throw new Error(refused ? "The browser was not allowed to use the camera." : "No camera could be opened.");
    }
    const video = document.createElement("video");
    Object.assign(video, { muted: true, playsInline: true, srcObject: media });
    const failed = new Promise((_, reject) => {
      video.addEventListener("error", () => reject(new Error("The camera gives no picture.")), { once: true });
    });
    await Promise.race([video.play(), failed]);
    return new CameraSource(video);
  }

  /** Whether there is a frame newer than the last; at most about thirty a second. */
  advance(now) {
    const { currentTime, readyState } = this.#video;
    if (readyState < HTMLMediaElement.HAVE_CURRENT_DATA || currentTime === this.#lastTime) return false;
    if (now - this.#lastAt < LEAST_INTERVAL_MS) return false;
    this.#lastTime = currentTime;
    this.#lastAt = now;
    return true;
  }

  paint(context) {
    context.drawImage(this.#video, 0, 0, this.size.width, this.size.height);
  }

  stop() {
    for (const track of this.#video.srcObject.getTracks()) track.stop();
  }
}

/** Several still images as the frames of a clip, in the order of their names. */
class ImagesSource {
  #files;
  #bitmap;
  #index = 0;

  rate = 30;
  pace = null;

  constructor(files, bitmap) {
    this.#files = files;
    this.#bitmap = bitmap;
    this.name = files[0].name;
    this.count = files.length;
    this.size = { width: bitmap.width, height: bitmap.height };
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

  async load(index) {
    if (index >= this.count) return false;
    if (index === this.#index) return true;
    try {
      const bitmap = await ImagesSource.#read(this.#files[index]);
      this.#bitmap.close();
      this.#bitmap = bitmap;
    } catch {
      // A damaged file in the middle: the image before it stays in view.
    }
    this.#index = index;
    return true;
  }

  paint(context) {
    context.drawImage(this.#bitmap, 0, 0, this.size.width, this.size.height);
  }

  time(index) {
    return index / this.rate;
  }

  stop() {
    this.#bitmap.close();
  }
}

/** The source that those files make: the first video among them, else all the images. */
export function openFiles(files) {
  const video = files.find((file) => file.type.startsWith("video/") || VIDEO_NAME.test(file.name));
  if (video) return openVideo(video);
  const images = files.filter((file) => file.type.startsWith("image/"));
  if (images.length) return ImagesSource.open(images);
  throw new Error(`${files[0].name} is neither a video nor an image.`);
}
