// One connection's conversation: numbers the frames, pairs each with its one answer.

const CLOSE_REASONS = new Map([
  [1001, "The server is going away."],
  [1003, "The server does not take this kind of message."],
  [1008, "The server refused the key."],
  [1009, "The frame has more bytes than the server takes."],
  [1011, "The server met an error of its own."],
  [1012, "The server is restarting."],
  [1013, "The server is overloaded; try again later."],
  [4404, "The session no longer exists."],
  [4409, "Another connection drives this session."],
  [4410, "The session has ended."],
]);

/** Codes after which the same session may be driven again through a new connection. */
const RESUMABLE = new Set([1001, 1006, 1012]);

export class Stream {
  #socket;
  #handlers;
  /** Frames without an answer, by number: {image, placements, frame, sentAt}. */
  #pending = new Map();
  #next = 0;
  #ready = false;
  #ending = false;
  #name = null;

  /**
   * `frame` is what `send` was given beside the image. handlers: ready(message), result(message, frame, roundTripMs),
   * dropped(frame), fault(problem, frame or null), closed({done, resumable, gone, refusedKey, reason, resume, unanswered}).
   */
  constructor(socket, handlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.addEventListener("message", (event) => this.#receive(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => this.#closed(event));
  }

  /** Whether frames may be sent now. A socket that is closing says so before its `close` event comes. */
  get open() {
    return this.#ready && !this.#ending && this.#socket.readyState === WebSocket.OPEN;
  }

  /** Frames that have no answer yet. */
  get unanswered() {
    return this.#pending.size;
  }

  /** Sends a frame: `image` is {jpeg, part}, part null for a whole one; `placements` ({id, box}) were drawn on it. */
  send(image, frame, placements = []) {
    this.#pending.set(this.#next, { image, frame, placements, sentAt: performance.now() });
    this.#next += 1;
    for (const { id, box } of placements) this.#say({ type: "set_target", id, box });
    if (image.part) this.#say({ type: "part", at: image.part.slice(0, 2) });
    this.#socket.send(image.jpeg);
  }

  removeTarget(id) {
    this.#say({ type: "remove_target", id });
  }

  /** Asks for the answers under way and a clean end; `closed` follows. */
  end() {
    this.#ending = true;
    if (this.#socket.readyState === WebSocket.OPEN) this.#say({ type: "end" });
    else this.#socket.close();
  }

  /** Puts an answer that another connection lost to a frame of its own. */
  answerLate(message, { frame, sentAt }) {
    this.#tell(message, frame, performance.now() - sentAt);
  }

  #say(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #receive(message) {
    if (message.type === "ready") {
      this.#ready = true;
      this.#name = message.connection ?? null;
      this.#handlers.ready(message);
      return;
    }
    const entry = this.#pending.get(message.seq);
    this.#pending.delete(message.seq);
    this.#tell(message, entry?.frame ?? null, entry ? performance.now() - entry.sentAt : 0);
  }

  #tell(message, frame, roundTripMs) {
    if (message.type === "result") this.#handlers.result(message, frame, roundTripMs);
    else if (message.type === "dropped") this.#handlers.dropped(frame);
    else if (message.type === "error") this.#handlers.fault(message.problem, frame);
  }

  #closed(event) {
    const first = this.#pending.size ? this.#pending.keys().next().value : this.#next;
    this.#handlers.closed({
      done: this.#ending || event.code === 1000,
      resumable: RESUMABLE.has(event.code),
      gone: event.code === 4404,
      refusedKey: event.code === 1008,
      reason: CLOSE_REASONS.get(event.code) ?? "The connection was lost.",
      resume: this.#name === null ? null : `${this.#name}:${first}`,
      unanswered: [...this.#pending.values()],
    });
    this.#pending.clear();
  }
}
