// Frames a second, round trip, where the time goes, what was sent; smoothed.

const PARTS = ["decode", "queue", "infer", "transfer"];
const SMOOTHING = 0.15;

export class Speed {
  #means = new Map();
  #lastAt = null;
  #answered = 0;
  #dropped = 0;
  #sent = 0;
  #saved = 0;

  reset() {
    this.#means.clear();
    this.#lastAt = null;
    this.#answered = this.#dropped = this.#sent = this.#saved = 0;
    for (const id of ["answered", "dropped"]) text(id, "0");
    for (const id of ["fps", "round-trip", "sent", "saved"]) text(id, "–");
  }

  /** `saved`: bytes that the frame would have had beyond those, had it been sent whole; an estimate. */
  sent(bytes, saved) {
    this.#sent += bytes;
    this.#saved += saved;
    text("sent", megabytes(this.#sent));
    text("saved", this.#saved ? `≈ ${megabytes(this.#saved)}` : "–");
  }

  dropped() {
    this.#dropped += 1;
    text("dropped", String(this.#dropped));
  }

  /** A pause is no slow frame. */
  interrupt() {
    this.#lastAt = null;
  }

  answered(timing, roundTripMs) {
    const now = performance.now();
    if (this.#lastAt !== null) text("fps", (1000 / this.#smooth("interval", now - this.#lastAt)).toFixed(1));
    this.#lastAt = now;
    this.#answered += 1;
    text("answered", String(this.#answered));
    text("round-trip", this.#smooth("round", roundTripMs).toFixed(0));
    const parts = {
      decode: timing.decode,
      queue: Math.max(0, timing.total - timing.decode - timing.infer),
      infer: timing.infer,
      transfer: Math.max(0, roundTripMs - timing.total),
    };
    for (const part of PARTS) {
      const mean = this.#smooth(part, parts[part]);
      text(`${part}-ms`, `${mean.toFixed(1)} ms`);
      document.querySelector(`#breakdown [data-part="${part}"]`).style.flexGrow = mean.toFixed(3);
    }
  }

  #smooth(name, value) {
    const before = this.#means.get(name);
    const mean = before === undefined ? value : before + SMOOTHING * (value - before);
    this.#means.set(name, mean);
    return mean;
  }
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1);
}

function text(id, content) {
  document.getElementById(id).textContent = content;
}
