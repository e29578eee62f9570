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
  #pending = new Map();
  #next = 0;
  #ready = false;
  #ending = false;

  /**
   * handlers: ready(message), result(message, frame, roundTripMs), dropped(frame), fault(problem, frame?),
   * closed({done, resumable, reason}). `frame` is what `send` was given beside the bytes.
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

  send(blob, frame) {
    this.#pending.set(this.#next, { frame, sentAt: performance.now() });
    this.#next += 1;
    this.#socket.send(blob);
  }

  /** Adds or corrects a target: the next frame sent is the one the box was drawn on. */
  setTarget(id, box) {
    this.#say({ type: "set_target", id, box });
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

  #say(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #receive(message) {
    if (message.type === "ready") {
      this.#ready = true;
      this.#handlers.ready(message);
    } else if (message.type === "result") {
      const { frame, sentAt } = this.#take(message.seq);
      this.#handlers.result(message, frame, performance.now() - sentAt);
    } else if (message.type === "dropped") {
      this.#handlers.dropped(this.#take(message.seq).frame);
    } else if (message.type === "error") {
      this.#handlers.fault(message.problem, message.seq === undefined ? null : this.#take(message.seq).frame);
    }
  }

  #take(seq) {
    const entry = this.#pending.get(seq);
    this.#pending.delete(seq);
    return entry;
  }

  #closed(event) {
    for (const { frame } of this.#pending.values()) frame.bitmap.close();
    this.#pending.clear();
    this.#handlers.closed({
      done: this.#ending || event.code === 1000,
      resumable: RESUMABLE.has(event.code),
      refusedKey: event.code === 1008,
      reason: CLOSE_REASONS.get(event.code) ?? "The connection was lost.",
    });
  }
}
