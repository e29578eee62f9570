// One session and its connections: opened on a frame with boxes, fed with the frames after it, reconnected when needed.

import { Wants } from "./parts.js";
import { Stream } from "./stream.js";

const RECONNECT_DELAYS_MS = [250, 500, 1000, 2000, 4000];
/** Frames under way at once: one in the network, one on its way there, one on its way back. */
const UNDER_WAY = 3;

export class Run {
  #api;
  #options;
  #handlers;
  #session = null;
  #stream = null;
  #window = 1;
  #wants = new Wants();
  #takesParts = false;
  #attempts = 0;
  #over = false;
  /** From a connection that dropped: what `resume` asks for, and its frames without an answer. */
  #resume = null;
  #waiting = [];
  #counted = 0;
  #idle = null;

  /** The targets that it follows: by id, the key that each was begun from. */
  members = new Map();
  /** The frame that it began on, the last that was sent, and the last that was answered. */
  began = -1;
  sent = -1;
  at = -1;

  /**
   * options: {mode, map}. handlers: result(run, message, frame, roundTripMs), dropped(frame), fault(text, frame),
   * changed(), reconnecting(attempt, of), connected(), lost(run, {reason, gone, refusedKey}).
   */
  constructor(api, options, handlers) {
    this.#api = api;
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Starts the session on frame `index` with the keys of some targets, [[id, key]]. Throws what the server refuses. */
  async open(index, jpeg, keys) {
    this.#session = await this.#api.create(jpeg, keys.map(([id, key]) => ({ id, box: key.box })));
    this.members = new Map(keys);
    this.began = this.sent = this.at = index;
    this.#wants.began(index, this.#session.targets);
    if (this.#over) await this.#forget();
    else this.#connect();
  }

  /** Adds targets, or corrects them, on the frame answered last; the others do not move. Throws what is refused. */
  async join(jpeg, keys) {
    await this.#pausedFor(async () => {
      for (const [id, key] of keys) {
        const { targets } = await this.#api.place(this.#session.session_id, id, jpeg, key.box);
        this.#wants.began(this.at, targets);
        this.members.set(id, key);
      }
    });
  }

  /** Whether a frame may be sent now. */
  get takesFrames() {
    return this.connected && this.#stream.unanswered < Math.min(UNDER_WAY, this.#window);
  }

  get connected() {
    return Boolean(this.#stream?.open);
  }

  get unanswered() {
    return (this.#stream?.unanswered ?? 0) + this.#waiting.length;
  }

  /** The edges [left, top, right, bottom] of all that the server may read of frame `index`; null: it needs all. */
  edges(index) {
    return this.#takesParts ? this.#wants.edges(index) : null;
  }

  /**
   * Sends frame `frame.index`, `image` being {jpeg, part}; `frame` itself comes back with its answer. `placements`:
   * {id, box} drawn on it.
   */
  send(image, frame, placements = []) {
    this.sent = frame.index;
    this.#stream.send(image, frame, placements);
  }

  /** Stops following a target. */
  leave(id) {
    this.members.delete(id);
    if (this.#stream?.open) this.#stream.removeTarget(id);
  }

  /** Whether response maps come, from now on: the connection is made anew. */
  set map(map) {
    this.#options = { ...this.#options, map };
    this.#stream?.end();
  }

  /** Ends connection and session. */
  async close() {
    this.#over = true;
    this.#stream?.end();
    await this.#forget();
  }

  async #forget() {
    if (this.#session) await this.#api.remove(this.#session.session_id).catch(() => {});
  }

  /** Does something to the session that needs it to have no connection. */
  async #pausedFor(change) {
    if (this.#stream) {
      const closed = new Promise((resolve) => (this.#idle = resolve));
      this.#stream.end();
      await closed;
    }
    try {
      await change();
    } finally {
      this.#idle = null;
      if (!this.#over) this.#connect();
    }
  }

  #connect() {
    const socket = this.#api.openSocket(this.#session.stream_url, { ...this.#options, resume: this.#resume });
    const stream = new Stream(socket, {
      ready: (message) => this.#ready(message, stream),
      result: (message, frame, roundTripMs) => {
        this.#counted = message.frame_index;
        this.#attempts = 0;
        this.at = frame.index;
        this.#wants.answered(frame.index, message.targets, message.missed ?? []);
        this.#handlers.result(this, message, frame, roundTripMs);
      },
      dropped: (frame) => this.#handlers.dropped(frame),
      fault: (problem, frame) => this.#fault(problem, frame),
      closed: (closing) => this.#closed(closing),
    });
    this.#stream = stream;
  }

  #ready(message, stream) {
    this.#window = message.window;
    this.#takesParts = message.parts === true;
    const waiting = this.#waiting.splice(0);
    const missed = message.missed ?? [];
    // Frames were counted whose answers nobody has, or another server takes no parts: only the keys bring them back.
    const uncounted = !message.missed && message.frame_index > this.#counted && waiting.length > 0;
    if (uncounted || (!this.#takesParts && waiting.some(({ image }) => image.part))) {
      this.#lose({ reason: CLOSED_UNANSWERED, gone: true, refusedKey: false });
      return;
    }
    missed.forEach((answer, place) => waiting[place] && stream.answerLate(answer, waiting[place]));
    for (const { image, frame, placements } of waiting.slice(missed.length)) {
      if (this.#options.mode === "every" || placements.length) stream.send(image, frame, placements);
      else this.#handlers.dropped(frame);
    }
    this.#resume = null;
    this.#handlers.connected();
    this.#handlers.changed();
  }

  #fault(problem, frame) {
    // A target that has left may be named once more after a reconnection.
    if (!frame && problem.type?.endsWith("#target-not-found")) return;
    this.#handlers.fault(problem.detail || problem.title, frame);
  }

  #closed({ done, resumable, gone, refusedKey, reason, resume, unanswered }) {
    this.#stream = null;
    this.#waiting.push(...unanswered);
    if (this.#over) return;
    if (this.#idle) {
      this.#idle();
    } else if (done) {
      this.#connect();
    } else if (resumable && this.#attempts < RECONNECT_DELAYS_MS.length) {
      if (resume !== null) this.#resume = resume;
      const delay = RECONNECT_DELAYS_MS[this.#attempts];
      this.#attempts += 1;
      this.#handlers.reconnecting(this.#attempts, RECONNECT_DELAYS_MS.length);
      setTimeout(() => this.#over || this.#connect(), delay);
    } else {
      this.#lose({ reason, gone, refusedKey });
    }
  }

  #lose(why) {
    this.#over = true;
    this.#stream?.end();
    this.#handlers.lost(this, why);
  }
}

const CLOSED_UNANSWERED = "The connection was lost, and answers with it.";
