// The result over the frames: a lane a target with its score, lost spans and given boxes; click to seek, step, play.

const LANE = 22;
const MOST_LANES = 4;
const EDGE = 8;
const BIG_STEP = 10;

export class Timeline extends EventTarget {
  #canvas = document.getElementById("timeline");
  #number = document.getElementById("frame-number");
  #view = { record: null, count: 0, index: 0, time: () => 0, selected: null };
  #asked = false;

  /** Events: `seek` with the frame's number. */
  constructor() {
    super();
    const seekTo = (event) => this.#seek(this.#frameAt(event.offsetX));
    this.#canvas.addEventListener("pointerdown", (event) => {
      this.#canvas.setPointerCapture(event.pointerId);
      seekTo(event);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) seekTo(event);
      this.#canvas.title = this.#label(this.#frameAt(event.offsetX));
    });
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#number.addEventListener("change", () => this.#seek(Math.round(Number(this.#number.value)) || 0));
    new ResizeObserver(() => this.#redraw()).observe(this.#canvas);
  }

  /** view: {record, count, index, time(index) in seconds, selected}. */
  show(view) {
    this.#view = view;
    const { count, index } = view;
    this.#number.max = count - 1;
    if (document.activeElement !== this.#number) this.#number.value = index;
    text("frame-count", `of ${Math.max(0, count - 1)}`);
    text("frame-time", `${clock(view.time(index))} / ${clock(view.time(Math.max(0, count - 1)))}`);
    this.#canvas.setAttribute("aria-valuemax", String(Math.max(0, count - 1)));
    this.#canvas.setAttribute("aria-valuenow", String(index));
    this.#canvas.setAttribute("aria-valuetext", this.#label(index));
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => this.#redraw());
  }

  #label(index) {
    return `frame ${index}, ${clock(this.#view.time(index))}`;
  }

  #seek(index) {
    const { count } = this.#view;
    if (count) this.dispatchEvent(new CustomEvent("seek", { detail: Math.max(0, Math.min(count - 1, index)) }));
  }

  #key(event) {
    const { count, index } = this.#view;
    const goals = {
      ArrowLeft: index - 1,
      ArrowRight: index + 1,
      PageUp: index - BIG_STEP,
      PageDown: index + BIG_STEP,
      Home: 0,
      End: count - 1,
    };
    if (!(event.key in goals)) return;
    event.preventDefault();
    this.#seek(goals[event.key]);
  }

  #frameAt(x) {
    const width = this.#canvas.clientWidth - 2 * EDGE;
    return Math.round(((x - EDGE) / width) * (this.#view.count - 1));
  }

  #redraw() {
    this.#asked = false;
    const targets = this.#view.record?.targets ?? [];
    const lanes = Math.max(1, targets.length);
    // Many targets share the room of a few lanes.
    const height = Math.min(lanes, MOST_LANES) * LANE + 6;
    this.#canvas.style.height = `${height}px`;
    const ratio = devicePixelRatio || 1;
    const width = this.#canvas.clientWidth;
    if (!width) return;
    Object.assign(this.#canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const ctx = this.#canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    const style = getComputedStyle(this.#canvas);
    const tone = (name) => style.getPropertyValue(`--${name}`).trim();
    const step = (width - 2 * EDGE) / Math.max(1, this.#view.count - 1);
    const lane = (height - 6) / lanes;
    targets.forEach((target, row) => drawLane(ctx, target, { top: 3 + row * lane, lane, step, tone, selected: this.#view.selected }));
    if (!targets.length) {
      ctx.fillStyle = tone("edge");
      ctx.fillRect(EDGE, height / 2 - 1, width - 2 * EDGE, 2);
    }
    const x = EDGE + this.#view.index * step;
    ctx.fillStyle = tone("text");
    ctx.fillRect(x - 1, 0, 2, height);
  }
}

function drawLane(ctx, { id, colour, keys, answers }, { top, lane, step, tone, selected }) {
  const [room, bottom] = [lane - 4, top + lane - 2];
  ctx.fillStyle = tone(id === selected ? "lane-selected" : "lane");
  ctx.fillRect(0, top, ctx.canvas.width, lane - 1);
  for (const [frame, { score, status }] of answers) {
    // Whole pixels: neighbours would show through one another.
    const [x, next] = [frame - 0.5, frame + 0.5].map((place) => Math.round(EDGE + place * step));
    const width = Math.max(1, next - x);
    const lost = status === "lost";
    ctx.fillStyle = lost ? tone("lost") : status === "uncertain" ? tone("uncertain") : colour;
    ctx.globalAlpha = lost ? 0.35 : 0.9;
    const height = lost ? room : Math.max(2, room * score);
    ctx.fillRect(x, bottom - height, width, height);
  }
  ctx.globalAlpha = 1;
  for (const frame of keys.keys()) drawKey(ctx, EDGE + frame * step, top + lane / 2, colour, tone);
}

/** A given box: a diamond. */
function drawKey(ctx, x, y, colour, tone) {
  ctx.beginPath();
  ctx.moveTo(x, y - 6);
  ctx.lineTo(x + 6, y);
  ctx.lineTo(x, y + 6);
  ctx.lineTo(x - 6, y);
  ctx.closePath();
  ctx.fillStyle = colour;
  ctx.strokeStyle = tone("text");
  ctx.lineWidth = 1.5;
  ctx.fill();
  ctx.stroke();
}

function clock(seconds) {
  const whole = Math.max(0, seconds || 0);
  return `${Math.floor(whole / 60)}:${(whole % 60).toFixed(2).padStart(5, "0")}`;
}

function text(id, content) {
  document.getElementById(id).textContent = content;
}
