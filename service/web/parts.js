// The part of a frame to send: what the server will read of it, widened by the motion of the frames that it has not
// answered yet. Knows no server and no page.

/** Share of the frame from which a part saves nothing. */
const WORTH = 0.75;
/** Assumed motion in a frame of a target seen once, as a share of its part's longer side. */
const FIRST_MOTION = 0.05;
/** A target may go faster than it has. */
const SAFETY = 1.5;
/** Share of its longer side by which a part may grow in a frame, and the pixels by which its even edges may move. */
const GROWTH = 0.02;
const ROUNDING = 2;
/** Weight of the motion before in the motion now: a target that stops is not trusted at once. */
const FADES = 0.8;
/** A part that was enough makes the margin shrink, one that was not doubles it, up to so many times. */
const RELIEF = 0.9;
const MOST_CAUTION = 4;

/** What the server wants of the frames of one session: its targets' parts, as of the frame that was answered last. */
export class Wants {
  #known = -1;
  #caution = 1;
  /** By id: {center, part, motion}; part null: the whole frame; motion in pixels a frame, null for a target seen once. */
  #targets = new Map();

  /** Targets (as the server says them) have begun on frame `index`, beside those that are known. */
  began(index, targets) {
    this.#known = index;
    for (const { id, box, wants } of targets) this.#targets.set(id, { center: centre(box), part: wants, motion: null });
  }

  /** Frame `index` was answered; `missed`: ids of targets of whose part it did not show everything. */
  answered(index, targets, missed) {
    const elapsed = Math.max(1, index - this.#known);
    const before = this.#targets;
    this.#known = index;
    this.#targets = new Map(targets.map((target) => [target.id, moved(before.get(target.id), target, elapsed)]));
    this.#caution = missed.length ? Math.min(2 * this.#caution, MOST_CAUTION) : Math.max(1, RELIEF * this.#caution);
  }

  /** The edges [left, top, right, bottom] of all that may be read of frame `index`; null: nobody can say. */
  edges(index) {
    const all = [...this.#targets.values()];
    if (!all.length || all.some(({ part }) => !part)) return null;
    const edges = all.map((target) => {
      const reach = this.#reach(target, index - this.#known - 1);
      const [x, y, w, h] = target.part;
      return [x - reach, y - reach, x + w + reach, y + h + reach];
    });
    return joined(edges);
  }

  /** By how many pixels a part is to be widened for `frames` frames whose answers are not there yet. */
  #reach({ part, motion }, frames) {
    if (frames <= 0) return 0;
    const longer = Math.max(part[2], part[3]);
    const way = motion === null ? FIRST_MOTION * longer : SAFETY * motion;
    return frames * (this.#caution * (way + GROWTH * longer) + ROUNDING);
  }
}

/** The part [x, y, w, h] of a frame of `size` that holds all those edges, x and y even; null: the whole frame. */
export function partOf(edges, { width, height }) {
  if (!edges.length || edges.includes(null)) return null;
  const [left, top, right, bottom] = joined(edges);
  const [x, y] = [left, top].map((edge) => Math.max(0, Math.floor(edge / 2) * 2));
  const w = Math.min(width, Math.ceil(right / 2) * 2) - x;
  const h = Math.min(height, Math.ceil(bottom / 2) * 2) - y;
  return w > 0 && h > 0 && w * h <= WORTH * width * height ? [x, y, w, h] : null;
}

/** Whether what is shown of a frame holds what is asked for; null stands for the whole frame. */
export function covers(shown, asked) {
  if (!shown || !asked) return !shown;
  const [[x, y, w, h], [ax, ay, aw, ah]] = [shown, asked];
  return x <= ax && y <= ay && x + w >= ax + aw && y + h >= ay + ah;
}

/** Bytes that a part of `bytes` bytes has saved, if the rest of the frame costs as much a pixel. */
export function savedBy(bytes, part, { width, height }) {
  return part ? bytes * ((width * height) / (part[2] * part[3]) - 1) : 0;
}

function joined(edges) {
  const [left, top, right, bottom] = [0, 1, 2, 3].map((side) => edges.map((each) => each[side]));
  return [Math.min(...left), Math.min(...top), Math.max(...right), Math.max(...bottom)];
}

function moved(before, { box, wants }, elapsed) {
  const center = centre(box);
  if (!before) return { center, part: wants, motion: null };
  const motion = Math.hypot(center[0] - before.center[0], center[1] - before.center[1]) / elapsed;
  return { center, part: wants, motion: before.motion === null ? motion : Math.max(motion, FADES * before.motion) };
}

function centre([x, y, w, h]) {
  return [x + w / 2, y + h / 2];
}
