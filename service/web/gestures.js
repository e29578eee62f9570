// One drag on the picture: it draws a box, moves one, or pulls one of its handles. Pure: points in, boxes out.

import { between, contains, handles, inside, LEAST_SIDE, resized } from "./geometry.js";

/** A press that moves no farther than this, in frame pixels times the scale, is a click. */
const CLICK = 4;

/**
 * The gesture that a press at `point` begins. `targets` are {id, box}; `reach` is how near a handle it must be, in
 * frame pixels; `fresh` asks for a new box whatever lies there.
 */
export function begun(point, { targets, selected, reach, fresh, size }) {
  const chosen = targets.find((target) => target.id === selected);
  if (!fresh && chosen) {
    const handle = nearest(chosen.box, point, reach);
    if (handle) return new Gesture("resize", point, size, chosen, handle);
    if (contains(chosen.box, point)) return new Gesture("move", point, size, chosen);
  }
  const other = fresh ? null : targets.find((target) => contains(target.box, point));
  if (other) return new Gesture("move", point, size, other);
  return new Gesture("draw", point, size);
}

function nearest(box, [x, y], reach) {
  // On a small box handles lie close together: inside it only the middle moves the box.
  const limit = Math.min(reach, Math.max(box[2], box[3]) / 3);
  let best = null;
  for (const handle of handles(box)) {
    const distance = Math.hypot(handle.at[0] - x, handle.at[1] - y);
    if (distance <= limit && (!best || distance < best.distance)) best = { ...handle, distance };
  }
  return best;
}

class Gesture {
  #from;
  #to;
  #size;
  #target;
  #handle;

  constructor(kind, from, size, target = null, handle = null) {
    this.kind = kind;
    this.#from = this.#to = from;
    this.#size = size;
    this.#target = target;
    this.#handle = handle;
  }

  /** The target that is moved or resized, or null. */
  get id() {
    return this.#target?.id ?? null;
  }

  /** Where the pointer is. */
  get point() {
    return this.#to;
  }

  to(point) {
    this.#to = point;
  }

  /** Whether the pointer has hardly moved; `unit` is the screen's pixels for one of the frame. */
  still(unit) {
    return Math.hypot(this.#to[0] - this.#from[0], this.#to[1] - this.#from[1]) * unit < CLICK;
  }

  /** The box as it is now; null where it is too small to be one. */
  get box() {
    if (this.kind === "resize") return resized(this.#target.box, this.#handle, this.#to, this.#size);
    if (this.kind === "move") {
      const [x, y, w, h] = this.#target.box;
      return inside([x + this.#to[0] - this.#from[0], y + this.#to[1] - this.#from[1], w, h], this.#size);
    }
    const box = between(this.#from, this.#to, this.#size);
    return box[2] < LEAST_SIDE || box[3] < LEAST_SIDE ? null : box;
  }
}
