// Frames as they are sent: JPEG, in the picture's own pixels, whole or a part of it.

import { jpegOf } from "./jpeg.js";

/** The frame that `source` has loaded, as an ImageBitmap. */
export function painted(source) {
  const { width, height } = source.size;
  const canvas = new OffscreenCanvas(width, height);
  source.paint(canvas.getContext("2d", { alpha: false }));
  return canvas.transferToImageBitmap();
}

/** Encodes in a worker; on the page's own thread where the browser gives none, and until it has started. */
export class Encoder {
  #worker = null;
  #asked = new Map();
  #number = 0;

  constructor() {
    if (!("Worker" in globalThis)) return;
    const worker = new Worker("/web/encoding_worker.js", { type: "module" });
    worker.addEventListener("message", ({ data }) => {
      if (data === "ready") this.#worker = worker;
      else this.#settle(data);
    });
  }

  /** The JPEG (ArrayBuffer) of a picture, which stays open, or of the `part` [x, y, w, h] of it. */
  async jpeg(bitmap, part = null) {
    const picture = await createImageBitmap(bitmap, ...(part ?? [0, 0, bitmap.width, bitmap.height]));
    if (!this.#worker) return jpegOf(picture);
    this.#number += 1;
    const number = this.#number;
    return new Promise((resolve, reject) => {
      this.#asked.set(number, { resolve, reject });
      this.#worker.postMessage({ number, bitmap: picture }, [picture]);
    });
  }

  #settle({ number, jpeg, error }) {
    const { resolve, reject } = this.#asked.get(number);
    this.#asked.delete(number);
    if (jpeg) resolve(jpeg);
    else reject(new Error(error));
  }
}
