// Tracks a clip whose frames can be asked for by number: every frame once for each target, in the clip's own order.
//
// The record says which frames of which segments have no answer. Targets that stand at the same frame share a run (one
// session); a target that was corrected further back gets a run of its own, which catches up and then goes on beside
// the others. So a correction sends nothing but its own target's frames again.

import { painted } from "./encoding.js";
import { covers, partOf, savedBy } from "./parts.js";
import { Run } from "./run.js";

export class ClipTracking {
  #api;
  #encoder;
  #record;
  #source;
  #handlers;
  #runs = new Set();
  #map = false;
  #going = null;
  #halted = true;
  #wake = () => {};
  /** The frame to send next: {frame, bitmap, jpeg, part}; part null: the whole frame. */
  #ready = null;
  #lastAt = -Infinity;

  /**
   * handlers: shown({index, bitmap, targets, message, roundTripMs}) for a frame that every run has answered,
   * sent(bytes, saved), reconnecting(attempt, of), connected(), failed({message, status, refusedKey}).
   */
  constructor(api, encoder, record, source, handlers) {
    this.#api = api;
    this.#encoder = encoder;
    this.#record = record;
    this.#source = source;
    this.#handlers = handlers;
  }

  set map(map) {
    this.#map = map;
    for (const run of this.#runs) run.map = map;
  }

  get going() {
    return this.#going !== null;
  }

  /** Whether there are frames to track. */
  get unfinished() {
    return this.#record.todo(this.#source.count).length > 0;
  }

  /** Tracks until everything is answered, `pause` is called or something fails; resolves to whether it is finished. */
  go() {
    this.#halted = false;
    this.#going ??= this.#work().finally(() => (this.#going = null));
    return this.#going;
  }

  /** Stops sending; resolves when what was under way is answered. */
  async pause() {
    this.#halted = true;
    this.#wake();
    await this.#going;
  }

  async close() {
    this.#halted = true;
    this.#wake();
    await Promise.all([...this.#runs].map((run) => run.close()));
    this.#runs.clear();
  }

  async #work() {
    try {
      while (!this.#halted || this.#underWay) {
        await this.#dismiss();
        const plan = this.#halted ? null : this.#plan();
        if (plan) await this.#carryOut(plan);
        else if (this.#underWay) await this.#change();
        else return await this.#finish();
      }
    } catch (error) {
      this.#fail({ message: error.message, status: error.status });
    } finally {
      this.#ready?.bitmap.close();
      this.#ready = null;
    }
    return false;
  }

  /** Whether answers will come. A run without a connection is not waited for. */
  get #underWay() {
    return [...this.#runs].some((run) => run.connected && run.unanswered > 0);
  }

  async #finish() {
    await this.close();
    return true;
  }

  /** Resolves at the next answer or change of a connection. */
  #change() {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  /** Targets leave runs that have nothing more to do for them; a run without targets ends. */
  async #dismiss() {
    const open = this.#record.todo(this.#source.count);
    for (const run of this.#runs) {
      for (const [id, key] of run.members) {
        const current = this.#record.target(id)?.keys.get(key.frame) === key;
        const segment = open.find((each) => each.key === key);
        // A finished segment stays in its run to the end of the clip, unless another key follows it.
        if (!current || (!segment && this.#overtaken(id, key))) run.leave(id);
      }
      if (run.members.size || run.unanswered) continue;
      this.#runs.delete(run);
      await run.close();
    }
  }

  #overtaken(id, key) {
    return [...this.#record.target(id).keys.keys()].some((frame) => frame > key.frame);
  }

  /** The frame to send next, who takes it and who begins with it; null when nothing is left to send. */
  #plan() {
    let frame = Infinity;
    let [feeds, begins] = [new Set(), []];
    const offer = (at, feed, begin) => {
      if (at > frame) return;
      if (at < frame) [frame, feeds, begins] = [at, new Set(), []];
      if (feed) feeds.add(feed);
      else begins.push(begin);
    };
    for (const { id, key, next, end } of this.#record.todo(this.#source.count)) {
      const run = [...this.#runs].find((each) => each.members.get(id) === key && each.at < next);
      if (!run) offer(key.frame, null, [id, key]);
      else if (run.sent + 1 < end) offer(run.sent + 1, run, null);
    }
    return frame === Infinity ? null : { frame, feeds: [...feeds], begins };
  }

  async #carryOut({ frame, feeds, begins }) {
    const part = begins.length ? null : partOf(feeds.map((run) => run.edges(frame)), this.#source.size);
    const picture = await this.#picture(frame, part);
    if (!picture || this.#halted) return;
    if (begins.length) {
      await this.#begin(frame, picture, begins);
      return;
    }
    await this.#pace();
    // Meanwhile the user may have stopped it, or a run may be gone.
    if (this.#halted || !feeds.every((run) => this.#runs.has(run))) return;
    if (!feeds.every((run) => run.takesFrames)) {
      await this.#change();
      return;
    }
    this.#lastAt = performance.now();
    this.#ready = null;
    const shared = { index: frame, bitmap: picture.bitmap, waiting: feeds.length, targets: [] };
    for (const run of feeds) run.send(picture, shared);
    const bytes = picture.jpeg.byteLength * feeds.length;
    this.#handlers.sent(bytes, savedBy(bytes, picture.part, this.#source.size));
  }

  /** Frame `frame`, encoded as far as `part` goes or farther; null where the clip ends before it. */
  async #picture(frame, part) {
    if (this.#ready?.frame !== frame) {
      this.#ready?.bitmap.close();
      this.#ready = null;
      if (!(await this.#source.load(frame))) return null;
      this.#ready = { frame, bitmap: painted(this.#source), jpeg: null, part: null };
    }
    if (!this.#ready.jpeg || !covers(this.#ready.part, part)) {
      const { bitmap } = this.#ready;
      this.#ready = { frame, bitmap, jpeg: await this.#encoder.jpeg(bitmap, part), part };
    }
    return this.#ready;
  }

  async #begin(frame, { jpeg }, keys) {
    const beside = [...this.#runs].find((run) => run.at === frame && run.sent === frame && run.members.size);
    this.#handlers.sent(jpeg.byteLength, 0);
    if (beside && (await this.#join(beside, jpeg, keys))) return;
    const run = new Run(this.#api, { mode: "every", map: this.#map }, {
      result: (...answer) => this.#result(...answer),
      dropped: () => this.#wake(),
      fault: (message, index) => index && this.#lost(run, { reason: message }),
      changed: () => this.#wake(),
      reconnecting: (attempt, of) => {
        this.#handlers.reconnecting(attempt, of);
        this.#wake();
      },
      connected: () => this.#handlers.connected(),
      lost: (which, why) => this.#lost(which, why),
    });
    await run.open(frame, jpeg, keys);
    this.#runs.add(run);
  }

  /** Whether the targets could begin in a run that stands at their frame; not where its session has expired. */
  async #join(run, jpeg, keys) {
    try {
      await run.join(jpeg, keys);
      return true;
    } catch (error) {
      if (![404, 410].includes(error.status)) throw error;
      this.#runs.delete(run);
      await run.close();
      return false;
    }
  }

  /** A clip with a pace of its own (the drawn scene) is not run through faster than that. */
  async #pace() {
    const wait = this.#source.pace ? this.#lastAt + 1000 / this.#source.pace - performance.now() : 0;
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  }

  #result(run, message, frame, roundTripMs) {
    for (const target of message.targets) {
      const key = run.members.get(target.id);
      if (!key) continue;
      this.#record.answer(target.id, key, frame.index, target);
      frame.targets.push(target);
    }
    frame.waiting -= 1;
    if (frame.waiting === 0) this.#handlers.shown({ ...frame, message, roundTripMs });
    this.#wake();
  }

  /**
   * A run that is gone. Its targets can always begin again from their keys: they do so at once where the server forgot a
   * session that had worked, and with the next `go` where nothing was going on. Anything else is for the user.
   */
  #lost(run, { reason, gone, refusedKey }) {
    this.#runs.delete(run);
    run.close();
    this.#wake();
    if (!this.going || (gone && run.at > run.began)) return;
    this.#fail({ message: reason, refusedKey });
  }

  #fail(failure) {
    this.#halted = true;
    this.#wake();
    this.#handlers.failed(failure);
  }
}
