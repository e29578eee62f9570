// Tracks what a camera shows now: one session, `latest`; frames that a newer one has overtaken are dropped.

import { painted } from "./encoding.js";
import { partOf, savedBy } from "./parts.js";
import { Run } from "./run.js";

/** Where the way there takes less than this share of the network's time, a second frame would mostly wait. */
const SHORT_WAY = 0.25;

export class LiveTracking {
  #api;
  #encoder;
  #record;
  #source;
  #handlers;
  #run = null;
  #map = false;
  #sending = false;
  #one = true;
  #next = 0;
  #over = false;
  /** Keys whose frame is on its way: [id, key]. Nothing newer may overtake it. */
  #placing = [];

  /** handlers: as for `ClipTracking`, and dropped(). */
  constructor(api, encoder, record, source, handlers) {
    this.#api = api;
    this.#encoder = encoder;
    this.#record = record;
    this.#source = source;
    this.#handlers = handlers;
  }

  set map(map) {
    this.#map = map;
    if (this.#run) this.#run.map = map;
  }

  /** The number of the frame that will be sent next; a box drawn now belongs to it. */
  get next() {
    return this.#next;
  }

  get takesFrames() {
    const free = !this.#sending && !this.#placing.length && this.#run?.takesFrames;
    return Boolean(free) && (!this.#one || this.#run.unanswered === 0);
  }

  /**
   * Begins or corrects a target whose key the record has at `next`, on the picture it was drawn on ({size, paint}).
   * Throws what is refused.
   */
  async place(id, picture) {
    const index = this.#next;
    const key = this.#record.target(id).keys.get(index);
    this.#sending = true;
    try {
      const bitmap = painted(picture);
      const jpeg = await this.#encoder.jpeg(bitmap);
      this.#handlers.sent(jpeg.byteLength, 0);
      if (!this.#run) {
        bitmap.close();
        await this.#start(index, jpeg, id, key);
      } else if (this.#run.connected) {
        this.#placing.push([id, key]);
        this.#run.members.set(id, key);
        this.#run.send({ jpeg, part: null }, { index, bitmap }, [{ id, box: key.box }]);
      } else {
        bitmap.close();
        throw new Error("The connection is being made anew; draw the box again in a moment.");
      }
      this.#next = index + 1;
    } finally {
      this.#sending = false;
    }
  }

  /** Sends what the camera shows. */
  async send() {
    this.#sending = true;
    try {
      const bitmap = painted(this.#source);
      const { size } = this.#source;
      const part = this.#run ? partOf([this.#run.edges(this.#next)], size) : null;
      const jpeg = await this.#encoder.jpeg(bitmap, part);
      if (!this.#run?.takesFrames || this.#placing.length) {
        bitmap.close();
        return;
      }
      this.#handlers.sent(jpeg.byteLength, savedBy(jpeg.byteLength, part, size));
      this.#run.send({ jpeg, part }, { index: this.#next, bitmap });
      this.#next += 1;
    } finally {
      this.#sending = false;
    }
  }

  leave(id) {
    this.#run?.leave(id);
  }

  async close() {
    this.#over = true;
    await this.#run?.close();
  }

  async #start(index, jpeg, id, key) {
    const run = new Run(this.#api, { mode: "latest", map: this.#map }, {
      result: (_, message, frame, roundTripMs) => this.#result(message, frame, roundTripMs),
      dropped: (frame) => {
        frame.bitmap.close();
        this.#handlers.dropped();
      },
      fault: (message, frame) => {
        if (frame) this.#settle(frame);
        this.#handlers.failed({ message });
      },
      changed: () => {},
      reconnecting: (attempt, of) => this.#handlers.reconnecting(attempt, of),
      connected: () => this.#handlers.connected(),
      lost: (_, { reason, refusedKey }) => this.#over || this.#handlers.failed({ message: reason, refusedKey, over: true }),
    });
    this.#run = run;
    try {
      await run.open(index, jpeg, [[id, key]]);
    } catch (error) {
      this.#run = null;
      throw error;
    }
  }

  #result(message, frame, roundTripMs) {
    if (this.#over) return;
    const { decode, infer, total } = message.timing_ms;
    this.#one = roundTripMs - total + decode < SHORT_WAY * infer;
    for (const target of message.targets) {
      const key = this.#run.members.get(target.id);
      if (key && frame.index > key.frame) this.#record.answer(target.id, key, frame.index, target);
    }
    this.#placing = this.#placing.filter(([, key]) => key.frame > frame.index);
    this.#handlers.shown({ ...frame, targets: message.targets, message, roundTripMs });
  }

  #settle(frame) {
    this.#placing = this.#placing.filter(([, key]) => key.frame !== frame.index);
    frame.bitmap.close();
  }
}
