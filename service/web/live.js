// The page with a camera: what it shows now is tracked; frames that come too fast are left out.

import { colouredMap } from "./heat.js";
import { LiveTracking } from "./live_tracking.js";

export class Live {
  #api;
  #source;
  #record;
  #page;
  #tracking = null;
  #times = [];
  #begun = performance.now();
  #held = false;
  #map = false;
  #maps = [];

  index = 0;
  playing = false;
  unfinished = true;
  seekable = false;

  /** page: as for `Clip`. */
  constructor(api, source, record, page) {
    this.#api = api;
    this.#source = source;
    this.#record = record;
    this.#page = page;
  }

  get count() {
    return this.#tracking ? this.index + 1 : 0;
  }

  /** Seconds from the first frame on. */
  time(index) {
    return this.#times[index] ?? 0;
  }

  truth() {
    return null;
  }

  suggestion() {
    return null;
  }

  set map(map) {
    this.#map = map;
    if (this.#tracking) this.#tracking.map = map;
  }

  async open() {
    this.#page.enter("preview");
  }

  /** Called before every repaint: shows the camera, or sends what it shows. */
  tick(now) {
    if (this.#held) return;
    if (this.#page.state === "preview") {
      if (!this.#source.advance(now)) return;
      this.#source.paint(this.#page.picture);
      this.#page.refresh();
    } else if (this.#page.state === "tracking" && this.#tracking?.takesFrames && this.#source.advance(now)) {
      this.#stamp(this.#tracking.next);
      this.#tracking.send().catch((error) => this.#failed({ message: error.message }));
    }
  }

  draw(id, box) {
    this.#tracking ??= this.#newTracking();
    const index = this.#tracking.next;
    this.#stamp(index);
    const made = id === null ? this.#record.add(index, box) : id;
    if (id !== null) this.#record.place(id, index, box);
    if (this.#page.state === "preview") this.#page.enter("tracking");
    this.index = index;
    this.#held = false;
    this.#place(made);
    return made;
  }

  hold() {
    this.#held = true;
  }

  release() {
    this.#held = false;
  }

  async go() {
    this.#page.enter("tracking");
  }

  async pause() {
    if (this.#page.state === "tracking") this.#page.enter("paused");
  }

  /** Changes the record; a target that is no longer in it is no longer followed. */
  async change(act) {
    const before = this.#record.targets.map((target) => target.id);
    act();
    for (const id of before) {
      if (!this.#record.target(id)) this.#tracking?.leave(id);
    }
    if (this.#record.empty) await this.restart();
    else this.#page.refresh();
  }

  async restart() {
    const tracking = this.#tracking;
    this.#tracking = null;
    this.#times = [];
    this.index = 0;
    this.#page.enter("preview");
    await tracking?.close();
  }

  async close() {
    await this.#tracking?.close();
    this.#source.stop();
  }

  async responseMap(id) {
    const target = this.#maps.find((each) => each.id === id);
    if (!target?.response_map) return null;
    return { bitmap: await colouredMap(target.response_map), box: target.map_box };
  }

  #newTracking() {
    this.#begun = performance.now();
    const { speed, notices } = this.#page;
    const tracking = new LiveTracking(this.#api, this.#page.encoder, this.#record, this.#source, {
      shown: (answer) => this.#answered(answer),
      dropped: () => speed.dropped(),
      sent: (bytes, saved) => speed.sent(bytes, saved),
      reconnecting: (attempt, of) => notices.reconnecting(attempt, of),
      connected: () => notices.reconnecting(null),
      failed: (failure) => this.#failed(failure),
    });
    tracking.map = this.#map;
    return tracking;
  }

  async #place(id) {
    const { canvas } = this.#page.picture;
    const picture = { size: this.#source.size, paint: (context) => context.drawImage(canvas, 0, 0) };
    try {
      await this.#tracking.place(id, picture);
    } catch (error) {
      this.#record.undo();
      if (this.#record.empty) await this.restart();
      this.#page.refused({ message: error.message, status: error.status }, () => {});
    }
  }

  #stamp(index) {
    this.#times[index] = (performance.now() - this.#begun) / 1000;
  }

  #answered({ index, bitmap, targets, message, roundTripMs }) {
    this.#page.speed.answered(message.timing_ms, roundTripMs);
    if (!this.#held) {
      this.#page.picture.drawImage(bitmap, 0, 0);
      this.index = index;
      this.#maps = targets;
      this.#page.refresh();
    }
    bitmap.close();
  }

  /** `over`: the session is gone; the result stays to be saved, but its targets cannot be followed on. */
  async #failed({ message, refusedKey, over }) {
    if (over) {
      this.#page.enter("ended");
      this.unfinished = false;
      await this.#tracking?.close();
    }
    this.#page.refused({ message, refusedKey }, () => {});
  }
}
