// One session from its first box to its end: frames out, results in, reconnection between.

import { colouredMap } from "./panel.js";
import { Stream } from "./stream.js";

/** Frames under way at once: one in the network, one on its way there. More would only add delay. */
const UNDER_WAY = 2;
/** Where the way there takes less than this share of the network's time, a second frame would mostly wait. */
const SHORT_WAY = 0.25;
const JPEG_QUALITY = 0.9;
const RECONNECT_DELAYS_MS = [250, 1000, 3000];

export class Tracking {
  #api;
  #handlers;
  #session = null;
  #stream = null;
  #map = false;
  #limit = 1;
  #window = 1;
  #correcting = false;
  #attempts = 0;
  #over = false;
  #idle = null;
  /** Targets given up: answers to frames that were under way may still name them. */
  #removed = new Set();

  targets = [];

  /** handlers: result({message, targets, bitmap, truth, roundTripMs}), dropped(), fault(text), lost(text, refusedKey). */
  constructor(api, handlers) {
    this.#api = api;
    this.#handlers = handlers;
  }

  /** Starts a session with the picture on `canvas`; resolves to it. Throws what the server refuses. */
  async start(canvas, box, map) {
    this.#map = map;
    this.#session = await this.#api.create(await encoded(canvas), [{ id: "1", box }]);
    this.targets = this.#session.targets;
    this.#connect();
    return this.#session;
  }

  /** Whether the next frame may be sent now. */
  get takesFrames() {
    return Boolean(this.#stream?.open) && !this.#correcting && this.#stream.unanswered < this.#limit;
  }

  /** Sends the picture on `canvas`; `truth` comes back with its result. */
  async send(canvas, truth = null) {
    const stream = this.#stream;
    const [blob, bitmap] = await Promise.all([encoded(canvas), createImageBitmap(canvas)]);
    if (stream === this.#stream && stream.open && !this.#correcting) stream.send(blob, { bitmap, truth });
    else bitmap.close();
  }

  /** Adds or corrects a target by a box drawn on the picture on `canvas`, whose truth is that; resolves to whether it was sent. */
  async correct(id, box, canvas, truth = null) {
    if (!this.#stream?.open || this.#correcting) return false;
    // Nothing newer may overtake the corrected frame: in `latest` mode it would be dropped.
    this.#correcting = true;
    const stream = this.#stream;
    const [blob, bitmap] = await Promise.all([encoded(canvas), createImageBitmap(canvas)]);
    if (stream !== this.#stream || !stream.open) {
      bitmap.close();
      this.#correcting = false;
      return false;
    }
    this.#removed.delete(id);
    stream.setTarget(id, box);
    stream.send(blob, { bitmap, truth, correction: true });
    return true;
  }

  remove(id) {
    this.#removed.add(id);
    this.targets = this.targets.filter((target) => target.id !== id);
    if (this.#stream?.open) this.#stream.removeTarget(id);
  }

  freshId() {
    const taken = new Set(this.targets.map((target) => target.id));
    let number = 1;
    while (taken.has(String(number))) number += 1;
    return String(number);
  }

  /** The response maps come or stay away from now on: the connection is made anew, the session goes on. */
  setMap(map) {
    this.#map = map;
    this.#stream?.end();
  }

  /** Ends the connection; resolves when every frame under way is answered. The session lives on. */
  end() {
    this.#over = true;
    if (!this.#stream) return Promise.resolve();
    const closed = new Promise((resolve) => (this.#idle = resolve));
    this.#stream.end();
    return closed;
  }

  /** Ends connection and session. */
  async stop() {
    this.#over = true;
    this.#stream?.end();
    if (this.#session) await this.#api.remove(this.#session.session_id).catch(() => {});
  }

  #connect() {
    const socket = this.#api.openSocket(this.#session.stream_url, { map: this.#map });
    this.#correcting = false;
    this.#stream = new Stream(socket, {
      ready: (message) => {
        this.#window = message.window;
        this.#attempts = 0;
      },
      result: (message, frame, roundTripMs) => this.#result(message, frame, roundTripMs),
      dropped: (frame) => {
        this.#settle(frame);
        this.#handlers.dropped();
      },
      fault: (problem, frame) => {
        if (frame) this.#settle(frame);
        this.#handlers.fault(problem.detail || problem.title);
      },
      closed: (closing) => this.#closed(closing),
    });
  }

  async #result(message, frame, roundTripMs) {
    const maps = await Promise.all(
      message.targets.map((target) => (target.response_map ? colouredMap(target.response_map) : null)),
    );
    const targets = message.targets
      .map((target, index) => ({ ...target, mapBitmap: maps[index], mapBox: target.map_box }))
      .filter((target) => !this.#removed.has(target.id));
    this.#adapt(message.timing_ms, roundTripMs);
    for (const target of this.targets) target.mapBitmap?.close();
    this.targets = targets;
    if (!this.#over || this.#idle) {
      this.#handlers.result({ message, targets, bitmap: frame.bitmap, truth: frame.truth, roundTripMs });
    }
    this.#settle(frame);
  }

  #adapt({ decode, infer, total }, roundTripMs) {
    const way = roundTripMs - total + decode;
    this.#limit = way < SHORT_WAY * infer ? 1 : Math.min(UNDER_WAY, this.#window);
  }

  #settle(frame) {
    if (frame.correction) this.#correcting = false;
    frame.bitmap.close();
  }

  #closed({ done, resumable, refusedKey, reason }) {
    this.#stream = null;
    this.#idle?.();
    if (this.#over) return;
    if (done) {
      this.#connect();
    } else if (resumable && this.#attempts < RECONNECT_DELAYS_MS.length) {
      setTimeout(() => this.#over || this.#connect(), RECONNECT_DELAYS_MS[this.#attempts]);
      this.#attempts += 1;
    } else {
      this.#handlers.lost(reason, refusedKey);
    }
  }
}

/** The picture on a canvas as JPEG. */
function encoded(canvas) {
  if (canvas instanceof OffscreenCanvas) return canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
  return new Promise((resolve, reject) => {
    const done = (blob) => (blob ? resolve(blob) : reject(new Error("The picture could not be encoded.")));
    canvas.toBlob(done, "image/jpeg", JPEG_QUALITY);
  });
}
