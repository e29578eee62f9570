// The page with a clip: its frames can be sought, tracked in any order of corrections, and played.

import { ClipTracking } from "./clip_tracking.js";
import { saveVideo } from "./downloads.js";
import { colouredMap } from "./heat.js";

export class Clip {
  #source;
  #record;
  #page;
  #tracking;
  #held = false;
  #playing = false;
  #wanted = null;
  #seeking = null;
  #saving = null;
  /** Counts what the user asked for: a wish that had to wait gives way to a later one. */
  #wish = 0;
  /** The response map of the frame in view: {index, targets}, as the server sent them. */
  #maps = null;

  index = 0;

  /**
   * page: picture (2d context), encoder, speed, notices, enter(state), say(text), refresh(), refused(failure, retry), selected, state.
   */
  constructor(api, source, record, page) {
    this.#source = source;
    this.#record = record;
    this.#page = page;
    this.#tracking = new ClipTracking(api, page.encoder, record, source, {
      shown: (answer) => this.#answered(answer),
      sent: (bytes, saved) => page.speed.sent(bytes, saved),
      reconnecting: (attempt, of) => page.notices.reconnecting(attempt, of),
      connected: () => page.notices.reconnecting(null),
      failed: (failure) => this.#failed(failure),
    });
  }

  get seekable() {
    return true;
  }

  get count() {
    return this.#source.count;
  }

  get playing() {
    return this.#playing;
  }

  get unfinished() {
    return this.#tracking.unfinished;
  }

  time(index) {
    return this.#source.time(index);
  }

  truth() {
    return this.#source.truth?.(this.index) ?? null;
  }

  /** What to follow on the frame in view, {what, box}, or null. */
  suggestion() {
    return this.#source.suggestion?.(this.index) ?? null;
  }

  set map(map) {
    this.#tracking.map = map;
  }

  async open() {
    this.#page.enter("preview");
    await this.#show(0);
  }

  /** Gives a target (null: a new one) a box on the frame in view; returns its id. It is tracked at once, unless paused. */
  draw(id, box) {
    const first = this.#record.empty;
    const made = id === null ? this.#record.add(this.index, box) : id;
    if (id !== null) this.#record.place(id, this.index, box);
    if (first || this.#page.state === "tracking") this.go();
    else this.#page.enter("paused");
    return made;
  }

  /** Stops for as long as a box is drawn on the frame in view. */
  hold() {
    this.#wish += 1;
    this.#held = true;
    this.#playing = false;
    this.#tracking.pause();
  }

  release() {
    this.#held = false;
    if (this.#page.state === "tracking") this.go();
  }

  /** Tracks whatever has no answer yet. */
  async go() {
    this.#wish += 1;
    const wish = this.#wish;
    this.#held = this.#playing = false;
    this.#page.enter("tracking");
    await this.#tracking.pause();
    if (wish !== this.#wish) return;
    const finished = await this.#tracking.go();
    if (finished && wish === this.#wish) this.#page.enter("ended");
  }

  /** Resolves when what was under way is answered, to whether the user still wishes it. */
  async pause() {
    this.#wish += 1;
    const wish = this.#wish;
    this.#playing = false;
    const tracking = this.#page.state === "tracking";
    if (tracking) {
      this.#page.enter("paused");
      this.#page.say("Pausing…");
    }
    await this.#tracking.pause();
    if (wish !== this.#wish) return false;
    if (tracking) this.#page.enter("paused");
    return true;
  }

  /** Changes the record while nothing is under way, then goes on as before, unless the user wishes otherwise by then. */
  async change(act) {
    if (this.#saving) return;
    const tracking = this.#page.state === "tracking";
    this.#wish += 1;
    const wish = this.#wish;
    this.#playing = false;
    await this.#tracking.pause();
    act();
    if (this.#record.empty) await this.restart();
    else if (wish !== this.#wish) this.#page.refresh();
    else if (tracking && this.unfinished) this.go();
    else this.#page.enter("paused");
  }

  /** Back to a clip without targets. */
  async restart() {
    this.#wish += 1;
    this.#page.enter("preview");
    this.#playing = false;
    await this.#tracking.close();
  }

  /** Shows another frame, paused. While one is being loaded only the newest wish is kept. */
  async seek(index) {
    if (this.#saving) return;
    this.#wanted = index;
    this.#seeking ??= this.#seekOn().finally(() => (this.#seeking = null));
    await this.#seeking;
  }

  async togglePlay() {
    if (this.#saving) return;
    if (this.#playing) {
      this.#playing = false;
      this.#page.refresh();
      return;
    }
    if (!(await this.pause())) return;
    this.#playing = true;
    if (this.index + 1 >= this.count) await this.#show(0);
    const [begun, from] = [performance.now(), this.time(this.index)];
    while (this.#playing && this.index + 1 < this.count) {
      if (!(await this.#show(this.index + 1))) break;
      const wait = begun + 1000 * (this.time(this.index) - from) - performance.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, wait)));
    }
    this.#playing = false;
    this.#page.refresh();
  }

  /** Saves the clip with its boxes as a video; nothing else happens meanwhile. */
  async saveVideo(result) {
    if (!(await this.pause())) return;
    const before = this.#page.state;
    this.#saving = new AbortController();
    this.#page.enter("saving");
    const progress = (done) => this.#page.say(`Making the video, ${done} of ${result.count}…`);
    try {
      await saveVideo(result, this.#source, progress, this.#saving.signal);
    } catch (error) {
      this.#page.notices.complain(error.message);
    }
    if (this.#saving.signal.aborted) return;
    this.#saving = null;
    this.#page.enter(before);
    await this.#show(this.index);
  }

  async close() {
    this.#playing = false;
    this.#saving?.abort();
    await this.#tracking.close();
    this.#source.stop();
  }

  /** The selected target's response map, {bitmap, box}, or null where the frame in view has none. */
  async responseMap(id) {
    const target = this.#maps?.index === this.index ? this.#maps.targets.find((each) => each.id === id) : null;
    if (!target?.response_map) return null;
    return { bitmap: await colouredMap(target.response_map), box: target.map_box };
  }

  async #seekOn() {
    if (!(await this.pause())) this.#wanted = null;
    while (this.#wanted !== null) {
      const index = this.#wanted;
      this.#wanted = null;
      await this.#show(index);
    }
  }

  /** Shows frame `index`; returns whether that could be done. */
  async #show(index) {
    try {
      if (!(await this.#source.load(index))) return false;
    } catch (error) {
      this.#page.notices.complain(error.message);
      return false;
    }
    this.#source.paint(this.#page.picture);
    this.index = index;
    this.#page.refresh();
    return true;
  }

  #answered({ index, bitmap, targets, message, roundTripMs }) {
    this.#page.speed.answered(message.timing_ms, roundTripMs);
    if (!this.#held) {
      this.#page.picture.drawImage(bitmap, 0, 0);
      this.index = index;
      this.#maps = { index, targets };
      this.#page.refresh();
    }
    bitmap.close();
  }

  /** A box that the server will not have goes; everything else stays, and can be tracked on. */
  #failed(failure) {
    const { status } = failure;
    const unusable = status >= 400 && status < 500 && ![401, 429].includes(status);
    if (unusable) this.#record.undo();
    this.#page.enter(this.#record.empty ? "preview" : "paused");
    this.#page.refused(failure, () => this.go());
  }
}
