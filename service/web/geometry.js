// Boxes as [x, y, w, h] in frame pixels, origin at the frame's top-left corner. Sizes are {width, height}.

export const LEAST_SIDE = 6;

/** Intersection over union. */
export function overlap(a, b) {
  const w = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const h = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  const both = Math.max(0, w) * Math.max(0, h);
  return both / (a[2] * a[3] + b[2] * b[3] - both);
}

/** The box between two opposite corners, as far as it lies in the frame. */
export function between(from, to, size) {
  const [x, y] = [Math.min(from[0], to[0]), Math.min(from[1], to[1])];
  return clipped([x, y, Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])], size);
}

/** The part of a box that lies in the frame. */
export function clipped([x, y, w, h], { width, height }) {
  const [left, top] = [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
  return [left, top, Math.max(0, Math.min(x + w, width) - left), Math.max(0, Math.min(y + h, height) - top)];
}

/** A box of the same size, moved into the frame. */
export function inside([x, y, w, h], { width, height }) {
  const [bw, bh] = [Math.min(w, width), Math.min(h, height)];
  return [Math.min(Math.max(x, 0), width - bw), Math.min(Math.max(y, 0), height - bh), bw, bh];
}

export function contains([x, y, w, h], [px, py]) {
  return px >= x && px <= x + w && py >= y && py <= y + h;
}

/** The eight handles of a box: which sides each one moves (-1 left or top, 1 right or bottom, 0 neither), and where it is. */
export function handles([x, y, w, h]) {
  const places = [];
  for (const dy of [-1, 0, 1]) {
    for (const dx of [-1, 0, 1]) {
      if (dx || dy) places.push({ dx, dy, at: [x + (w * (dx + 1)) / 2, y + (h * (dy + 1)) / 2] });
    }
  }
  return places;
}

/** The box after its handle {dx, dy} went to `place`; a side cannot pass its opposite. */
export function resized([x, y, w, h], { dx, dy }, [px, py], size) {
  let [left, top, right, bottom] = [x, y, x + w, y + h];
  if (dx < 0) left = Math.min(px, right - LEAST_SIDE);
  if (dx > 0) right = Math.max(px, left + LEAST_SIDE);
  if (dy < 0) top = Math.min(py, bottom - LEAST_SIDE);
  if (dy > 0) bottom = Math.max(py, top + LEAST_SIDE);
  return clipped([left, top, right - left, bottom - top], size);
}
