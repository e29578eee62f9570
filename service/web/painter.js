// Draws what lies over a picture: boxes, labels, handles, a box in the making, the response map, the loupe.

import { handles } from "./geometry.js";

const DASH = { tracking: [], given: [], uncertain: [10, 6], lost: [3, 6] };
const FONT = "600 13px system-ui, sans-serif";
const LABEL_HEIGHT = 20;
const HANDLE = 9;
/** A box with a side shorter than this has handles at its corners only, so that what is in it can be seen. */
const ROOM_FOR_HANDLES = 48;
const LOUPE = { radius: 62, zoom: 3 };

/** Draws targets with their labels; `unit` is the canvas's pixels for one of the frame. */
export function drawTargets(ctx, targets, selected, unit, room) {
  const taken = [];
  for (const target of targets) drawBox(ctx, target, target.id === selected, unit);
  // The selected one's label has the first choice of a place.
  const order = [...targets].sort((a, b) => (b.id === selected) - (a.id === selected));
  for (const target of order) taken.push(drawLabel(ctx, target, unit, room, taken));
}

function drawBox(ctx, { box, colour, status }, chosen, unit) {
  const [x, y, w, h] = box.map((value) => value * unit);
  ctx.setLineDash(DASH[status] ?? []);
  ctx.lineWidth = chosen ? 5 : 4;
  ctx.strokeStyle = "rgb(0 0 0 / 55%)";
  ctx.strokeRect(x, y, w, h);
  ctx.lineWidth = chosen ? 3 : 2;
  ctx.strokeStyle = colour;
  ctx.strokeRect(x, y, w, h);
  ctx.setLineDash([]);
}

function labelOf({ name, score, status }) {
  if (status === "given") return `${name}  given`;
  return `${name}  ${Math.round(score * 100)} %${status === "tracking" ? "" : `  ${status}`}`;
}

/** Draws a label where it covers no other, if there is such a place; returns where it is. */
function drawLabel(ctx, target, unit, room, taken) {
  ctx.font = FONT;
  const [x, y, w, h] = target.box.map((value) => value * unit);
  const text = labelOf(target);
  const width = ctx.measureText(text).width + 14;
  const rows = [y - LABEL_HEIGHT - 3, y + h + 3, y - 2 * LABEL_HEIGHT - 5, y + h + LABEL_HEIGHT + 5, y + 2];
  const columns = [x - 1, x + w - width, x + w + 4, x - width - 4];
  const places = rows.flatMap((top) => columns.map((left) => fitted([left, top, width, LABEL_HEIGHT], room)));
  const place = places.find((each) => taken.every((other) => apart(each, other))) ?? places[0];
  const [left, top] = place;
  ctx.fillStyle = "rgb(8 11 18 / 84%)";
  ctx.fillRect(left, top, width, LABEL_HEIGHT);
  ctx.fillStyle = target.colour;
  ctx.fillRect(left, top, 4, LABEL_HEIGHT);
  ctx.fillStyle = "#fff";
  ctx.textBaseline = "middle";
  ctx.fillText(text, left + 9, top + LABEL_HEIGHT / 2 + 0.5);
  return place;
}

function fitted([x, y, w, h], { width, height }) {
  return [Math.max(0, Math.min(x, width - w)), Math.max(0, Math.min(y, height - h)), w, h];
}

function apart(a, b) {
  return a[0] + a[2] <= b[0] || b[0] + b[2] <= a[0] || a[1] + a[3] <= b[1] || b[1] + b[3] <= a[1];
}

/** The handles of the selected box. */
export function drawHandles(ctx, box, unit) {
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = "#000";
  ctx.fillStyle = "#fff";
  const small = Math.min(box[2], box[3]) * unit < ROOM_FOR_HANDLES;
  const side = small ? HANDLE - 3 : HANDLE;
  for (const { dx, dy, at } of handles(box)) {
    if (small && !(dx && dy)) continue;
    const [x, y] = [at[0] * unit - side / 2, at[1] * unit - side / 2];
    ctx.fillRect(x, y, side, side);
    ctx.strokeRect(x, y, side, side);
  }
}

/** A box that is being drawn, or suggested. */
export function drawSketch(ctx, box, unit) {
  const [x, y, w, h] = box.map((value) => value * unit);
  ctx.fillStyle = "rgb(255 255 255 / 10%)";
  ctx.fillRect(x, y, w, h);
  ctx.lineWidth = 2;
  ctx.strokeStyle = "#000";
  ctx.strokeRect(x, y, w, h);
  ctx.setLineDash([6, 5]);
  ctx.strokeStyle = "#fff";
  ctx.strokeRect(x, y, w, h);
  ctx.setLineDash([]);
}

/** A target's response map where it lies in the frame, with its outline. */
export function drawMap(ctx, { bitmap, box }, unit) {
  const [x, y, w, h] = box.map((value) => value * unit);
  ctx.drawImage(bitmap, x, y, w, h);
  ctx.lineWidth = 1;
  ctx.setLineDash([2, 4]);
  ctx.strokeStyle = "rgb(255 255 255 / 70%)";
  ctx.strokeRect(x, y, w, h);
  ctx.setLineDash([]);
}

/** What lies under a finger at frame pixel `at`, three times as large, in the corner that is farther away. */
export function drawLoupe(ctx, frame, at, box, unit, { width }) {
  const { radius, zoom } = LOUPE;
  const left = at[0] * unit < width / 2 ? width - 2 * radius - 8 : 8;
  const [cx, cy] = [left + radius, 8 + radius];
  const scale = unit * zoom;
  ctx.save();
  ctx.beginPath();
  ctx.arc(cx, cy, radius, 0, 2 * Math.PI);
  ctx.clip();
  ctx.fillStyle = "#000";
  ctx.fillRect(left, 8, 2 * radius, 2 * radius);
  ctx.imageSmoothingEnabled = scale < 3;
  ctx.translate(cx - at[0] * scale, cy - at[1] * scale);
  ctx.drawImage(frame, 0, 0, frame.width * scale, frame.height * scale);
  ctx.lineWidth = 2;
  ctx.strokeStyle = "#fff";
  if (box) ctx.strokeRect(...box.map((value) => value * scale));
  ctx.restore();
  ctx.beginPath();
  ctx.arc(cx, cy, radius, 0, 2 * Math.PI);
  ctx.lineWidth = 2;
  ctx.strokeStyle = "#fff";
  ctx.stroke();
}
