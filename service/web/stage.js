// The picture, what is drawn over it, and drawing boxes with a pointer or the keyboard.

const LEAST_SIDE = 6;
const STATUS_DASH = { tracking: [], uncertain: [10, 6], lost: [3, 6] };

export class Stage extends EventTarget {
  #root;
  #frame;
  #overlay;
  #context;
  #targets = [];
  #selected = null;
  #suggestion = null;
  #drag = null;
  #keyed = null;

  /** Events: `grab` when a box begins, `box` ({box, add}) when one is drawn, `files` when some are dropped. */
  constructor(root) {
    super();
    this.#root = root;
    this.#frame = root.querySelector("#frame");
    this.#overlay = root.querySelector("#overlay");
    this.#context = this.#frame.getContext("2d", { alpha: false });
    this.enabled = false;
    this.addMode = false;
    this.#overlay.addEventListener("pointerdown", (event) => this.#pointerDown(event));
    this.#overlay.addEventListener("pointermove", (event) => this.#pointerMove(event));
    this.#overlay.addEventListener("pointerup", (event) => this.#pointerUp(event));
    this.#overlay.addEventListener("pointercancel", () => this.#giveUp());
    this.#overlay.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.redraw()).observe(this.#overlay);
    this.#wireDrop();
  }

  get size() {
    return { width: this.#frame.width, height: this.#frame.height };
  }

  set size({ width, height }) {
    this.#frame.width = width;
    this.#frame.height = height;
    this.#root.style.maxWidth = `calc(76vh * ${width / height})`;
  }

  /** The 2d context of the picture, one unit a frame pixel. */
  get picture() {
    return this.#context;
  }

  /** Whether a box is being drawn now. */
  get drawing() {
    return this.#drag !== null || this.#keyed !== null;
  }

  show({ targets, selected, suggestion = null }) {
    this.#targets = targets;
    this.#selected = selected;
    this.#suggestion = suggestion;
    this.redraw();
  }

  /** Begins a box by keyboard: on the selected target, else in the middle. */
  beginKeyed(add = false) {
    if (!this.enabled || this.drawing) return;
    const { width, height } = this.size;
    const present = this.#targets.find((target) => target.id === this.#selected);
    const middle = [width * 0.4, height * 0.375, width * 0.2, height * 0.25];
    const start = this.#suggestion ?? (present && !add ? present.box : middle);
    this.#keyed = { box: clipped(start, this.size), add };
    this.#overlay.focus();
    this.dispatchEvent(new Event("grab"));
    this.redraw();
  }

  redraw() {
    const { clientWidth, clientHeight } = this.#overlay;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (!width || !height) return;
    if (this.#overlay.width !== width || this.#overlay.height !== height) Object.assign(this.#overlay, { width, height });
    const ctx = this.#overlay.getContext("2d");
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, width, height);
    ctx.scale(ratio, ratio);
    const unit = clientWidth / this.#frame.width;
    for (const target of this.#targets) this.#drawMap(ctx, target, unit);
    for (const target of this.#targets) this.#drawTarget(ctx, target, unit);
    const sketch = this.#keyed?.box ?? (this.#drag ? dragBox(this.#drag, this.size) : this.#suggestion);
    if (sketch) this.#drawSketch(ctx, sketch.map((value) => value * unit));
  }

  #drawMap(ctx, { mapBitmap, mapBox }, unit) {
    if (!mapBitmap || !mapBox) return;
    ctx.globalAlpha = 0.62;
    ctx.drawImage(mapBitmap, ...mapBox.map((value) => value * unit));
    ctx.globalAlpha = 1;
  }

  #drawTarget(ctx, { id, box, score, status }, unit) {
    const style = getComputedStyle(this.#root);
    const tone = style.getPropertyValue(`--picture-${status}`).trim() || "#fff";
    const [x, y, w, h] = box.map((value) => value * unit);
    const chosen = id === this.#selected;
    ctx.setLineDash(STATUS_DASH[status] ?? []);
    ctx.lineWidth = chosen ? 5 : 4;
    ctx.strokeStyle = "rgb(0 0 0 / 55%)";
    ctx.strokeRect(x, y, w, h);
    ctx.lineWidth = chosen ? 3 : 2;
    ctx.strokeStyle = tone;
    ctx.strokeRect(x, y, w, h);
    ctx.setLineDash([]);
    const text = `${id}  ${Math.round(score * 100)} %${status === "tracking" ? "" : `  ${status}`}`;
    ctx.font = "600 13px system-ui, sans-serif";
    const width = ctx.measureText(text).width + 12;
    const left = Math.max(0, Math.min(x - 1, this.#overlay.clientWidth - width));
    const top = y > 24 ? y - 23 : Math.min(y + h + 3, this.#overlay.clientHeight - 21);
    ctx.fillStyle = "rgb(8 11 18 / 82%)";
    ctx.fillRect(left, top, width, 20);
    ctx.fillStyle = tone;
    ctx.fillRect(left, top, 3, 20);
    ctx.fillStyle = "#fff";
    ctx.textBaseline = "middle";
    ctx.fillText(text, left + 8, top + 10.5);
  }

  #drawSketch(ctx, [x, y, w, h]) {
    ctx.fillStyle = "rgb(255 255 255 / 14%)";
    ctx.fillRect(x, y, w, h);
    ctx.lineWidth = 2;
    ctx.strokeStyle = "#000";
    ctx.strokeRect(x, y, w, h);
    ctx.setLineDash([6, 5]);
    ctx.strokeStyle = "#fff";
    ctx.strokeRect(x, y, w, h);
    ctx.setLineDash([]);
  }

  #wireDrop() {
    const dropping = (event, on) => {
      event.preventDefault();
      this.#root.classList.toggle("dropping", on);
    };
    this.#root.addEventListener("dragover", (event) => dropping(event, true));
    this.#root.addEventListener("dragleave", (event) => dropping(event, false));
    this.#root.addEventListener("drop", (event) => {
      dropping(event, false);
      this.dispatchEvent(new CustomEvent("files", { detail: [...event.dataTransfer.files] }));
    });
  }

  #place(event) {
    const bounds = this.#overlay.getBoundingClientRect();
    return [
      ((event.clientX - bounds.left) / bounds.width) * this.#frame.width,
      ((event.clientY - bounds.top) / bounds.height) * this.#frame.height,
    ];
  }

  #pointerDown(event) {
    if (!this.enabled || event.button !== 0) return;
    this.#overlay.setPointerCapture(event.pointerId);
    const place = this.#place(event);
    this.#keyed = null;
    this.#drag = { from: place, to: place, add: event.shiftKey || this.addMode };
    this.dispatchEvent(new Event("grab"));
    this.redraw();
  }

  #pointerMove(event) {
    if (!this.#drag) return;
    this.#drag.to = this.#place(event);
    this.redraw();
  }

  #pointerUp(event) {
    if (!this.#drag) return;
    this.#drag.to = this.#place(event);
    const { add } = this.#drag;
    const box = dragBox(this.#drag, this.size);
    this.#drag = null;
    this.#finish(box, add);
  }

  #finish(box, add) {
    if (box[2] < LEAST_SIDE || box[3] < LEAST_SIDE) this.#giveUp();
    else this.dispatchEvent(new CustomEvent("box", { detail: { box, add } }));
    this.redraw();
  }

  #giveUp() {
    this.#drag = null;
    this.#keyed = null;
    this.redraw();
  }

  #key(event) {
    if (!this.#keyed) {
      if (event.key !== "Enter") return;
      this.beginKeyed(this.addMode);
    } else if (event.key === "Enter") {
      const { box, add } = this.#keyed;
      this.#keyed = null;
      this.#finish(box, add);
    } else if (event.key === "Escape") {
      this.#giveUp();
    } else {
      const step = event.altKey ? 1 : 6;
      const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      const move = moves[event.key];
      if (!move) return;
      const [x, y, w, h] = this.#keyed.box;
      const next = event.shiftKey
        ? [x, y, Math.max(LEAST_SIDE, w + move[0]), Math.max(LEAST_SIDE, h + move[1])]
        : [x + move[0], y + move[1], w, h];
      this.#keyed.box = inside(next, this.size);
      this.redraw();
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

function dragBox({ from, to }, size) {
  const [x, y] = [Math.min(from[0], to[0]), Math.min(from[1], to[1])];
  return clipped([x, y, Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])], size);
}

/** The part of a box that lies in the frame. */
function clipped([x, y, w, h], { width, height }) {
  const [left, top] = [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
  return [left, top, Math.max(0, Math.min(x + w, width) - left), Math.max(0, Math.min(y + h, height) - top)];
}

/** A box of the same size, moved into the frame. */
function inside([x, y, w, h], { width, height }) {
  const [bw, bh] = [Math.min(w, width), Math.min(h, height)];
  return [Math.min(Math.max(x, 0), width - bw), Math.min(Math.max(y, 0), height - bh), bw, bh];
}
