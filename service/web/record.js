// The result: targets, the boxes a person gave them (keys), and the answers between. Knows no server and no page.
//
// A target's frames fall into segments: each begins at a key and ends before the next one. The answers of a segment
// follow from its key alone, so a new key replaces the answers between it and the next key, and no others.

const COLOURS = ["#4cc9f0", "#ffd166", "#ff7ab6", "#8ce99a", "#ff9f43", "#b197fc", "#f1f3f5", "#38d9a9"];

export class Record {
  #targets = new Map();
  /** Entries of undo: the targets, by id, as they were before a change; undefined for one that was not there. */
  #past = [];
  #made = 0;

  get targets() {
    return [...this.#targets.values()];
  }

  get empty() {
    return this.#targets.size === 0;
  }

  target(id) {
    return this.#targets.get(id);
  }

  /** A new target with its first key; returns its id. */
  add(frame, box) {
    let number = 1;
    while (this.#targets.has(String(number))) number += 1;
    const id = String(number);
    this.#remember([id]);
    const colour = COLOURS[this.#made % COLOURS.length];
    this.#made += 1;
    const keys = new Map([[frame, newKey(frame, box)]]);
    this.#targets.set(id, { id, name: id, colour, keys, answers: new Map() });
    return id;
  }

  /** Gives a target a box on a frame. The answers from there to its next key are void. */
  place(id, frame, box) {
    this.#remember([id]);
    const target = this.#targets.get(id);
    target.keys.set(frame, newKey(frame, box));
    const end = endOf(target, frame);
    for (const index of [...target.answers.keys()]) {
      if (index >= frame && index < end) target.answers.delete(index);
    }
  }

  remove(id) {
    this.#remember([id]);
    this.#targets.delete(id);
  }

  clear() {
    this.#remember([...this.#targets.keys()]);
    this.#targets.clear();
  }

  /** Another source: nothing of this can come back. */
  forget() {
    this.#targets.clear();
    this.#past = [];
    this.#made = 0;
  }

  rename(id, name) {
    this.#targets.get(id).name = name.trim() || id;
  }

  recolour(id, colour) {
    this.#targets.get(id).colour = colour;
  }

  get undoable() {
    return this.#past.length > 0;
  }

  /** Takes the last change back, with the answers that it replaced. Names and colours stay as they are now. */
  undo() {
    for (const [id, before] of this.#past.pop() ?? []) {
      const { name, colour } = this.#targets.get(id) ?? before ?? {};
      if (before === undefined) this.#targets.delete(id);
      else this.#targets.set(id, { ...before, name, colour });
    }
  }

  /** Notes the answer to a frame for the segment of `key`, unless that key has been replaced meanwhile. */
  answer(id, key, frame, { box, score, status }) {
    const target = this.#targets.get(id);
    if (!target || target.keys.get(key.frame) !== key || frame >= endOf(target, key.frame)) return;
    target.answers.set(frame, { box, score, status });
    key.done = Math.max(key.done, frame);
  }

  /** What stands in a frame: {id, name, colour, box, score, status, given}. A given box has no score. */
  shown(frame) {
    const shown = [];
    for (const { id, name, colour, keys, answers } of this.#targets.values()) {
      const key = keys.get(frame);
      const place = key ? { box: key.box, score: null, status: "given" } : answers.get(frame);
      if (place) shown.push({ id, name, colour, given: Boolean(key), ...place });
    }
    return shown;
  }

  /** The segments with frames to track below `count`: {id, key, next, end}; `next` is the first without an answer. */
  todo(count) {
    const open = [];
    for (const target of this.#targets.values()) {
      for (const key of target.keys.values()) {
        const end = Math.min(endOf(target, key.frame), count);
        if (key.done + 1 < end) open.push({ id: target.id, key, next: key.done + 1, end });
      }
    }
    return open;
  }

  /** The last frame that has a box. */
  get last() {
    let last = 0;
    for (const target of this.#targets.values()) {
      for (const { frame, done } of target.keys.values()) last = Math.max(last, Math.min(done, endOf(target, frame) - 1));
    }
    return last;
  }

  #remember(ids) {
    this.#past.push(ids.map((id) => [id, copied(this.#targets.get(id))]));
  }
}

/** A key: its frame, its box, and the last frame that was answered in its segment. It is what runs hold on to. */
function newKey(frame, box) {
  return { frame, box, done: frame };
}

function copied(target) {
  return target && { ...target, keys: new Map(target.keys), answers: new Map(target.answers) };
}

/** Where the segment that begins at `start` ends: the target's next key. */
function endOf(target, start) {
  let end = Infinity;
  for (const frame of target.keys.keys()) {
    if (frame > start && frame < end) end = frame;
  }
  return end;
}
