// The picture, what is drawn over it, and boxes made with a pointer or the keyboard.

import { clipped, inside, LEAST_SIDE } from "./geometry.js";
import { begun } from "./gestures.js";
import { drawHandles, drawLoupe, drawMap, drawSketch, drawTargets } from "./painter.js";

/** How near a handle a press must be, in the screen's pixels. */
const REACH = { mouse: 9, pen: 12, touch: 20 };
const KEY_STEP = 6;
const LONGEST_KEY_STEP = 48;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Stage extends EventTarget {
  #root;
  #frame;
  #overlay;
  #context;
  #targets = [];
  #selected = null;
  #suggestion = null;
  #map = null;
  #gesture = null;
  #touch = false;
  #keyed = null;

  /**
   * Events: `grab` when a box begins and `release` when nothing came of it, `box` ({box, id, add}) when one is drawn or
   * changed (`id`: the target whose box it was, or null), `pick` (id) for a click on a target, `files` when some are
   * dropped.
   */
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
    document.documentElement.style.setProperty("--ratio", width / height);
  }

  /** The 2d context of the picture, one unit a frame pixel. */
  get picture() {
    return this.#context;
  }

  /** Whether a box is being drawn or changed now. */
  get drawing() {
    return this.#gesture !== null || this.#keyed !== null;
  }

  /** What lies over the picture. `map`: the selected target's response map, {bitmap, box}, or null. */
  show({ targets, selected, suggestion = null, map = null }) {
    this.#targets = targets;
    this.#selected = selected;
    this.#suggestion = suggestion;
    this.#map = map;
    this.redraw();
  }

  /** Begins a box by keyboard: on the selected target, else in the middle. */
  beginKeyed(add = false) {
    if (!this.enabled || this.drawing) return;
    const { width, height } = this.size;
    const present = this.#targets.find((target) => target.id === this.#selected);
    const middle = [width * 0.4, height * 0.375, width * 0.2, height * 0.25];
    const start = this.#suggestion ?? (present && !add ? present.box : middle);
    this.#keyed = { box: clipped(start, this.size), id: add ? null : (present?.id ?? null), add, step: KEY_STEP };
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
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, clientWidth, clientHeight);
    this.#draw(ctx, this.#unit, { width: clientWidth, height: clientHeight });
  }

  get #unit() {
    return this.#overlay.clientWidth / this.#frame.width;
  }

  #draw(ctx, unit, room) {
    if (this.#map) drawMap(ctx, this.#map, unit);
    const changed = this.#keyed?.id ?? this.#gesture?.id ?? null;
    const targets = this.#targets.filter((target) => target.id !== changed);
    drawTargets(ctx, targets, this.#selected, unit, room);
    const sketch = this.#keyed?.box ?? (this.#gesture ? this.#gesture.box : this.#suggestion);
    if (sketch) drawSketch(ctx, sketch, unit);
    const chosen = targets.find((target) => target.id === this.#selected);
    if (chosen && this.enabled && !this.drawing) drawHandles(ctx, chosen.box, unit);
    if (this.#gesture && this.#touch) drawLoupe(ctx, this.#frame, this.#gesture.point, this.#gesture.box, unit, room);
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
    // A second finger begins nothing of its own.
    if (!this.enabled || event.button !== 0 || !event.isPrimary) return;
    this.#overlay.setPointerCapture(event.pointerId);
    this.#keyed = null;
    this.#touch = event.pointerType !== "mouse";
    this.#gesture = begun(this.#place(event), {
      targets: this.#targets,
      selected: this.#selected,
      reach: (REACH[event.pointerType] ?? REACH.mouse) / this.#unit,
      fresh: event.shiftKey || this.addMode,
      size: this.size,
    });
    this.#gesture.add = event.shiftKey || this.addMode;
    this.dispatchEvent(new Event("grab"));
    this.redraw();
  }

  #pointerMove(event) {
    if (!this.#gesture || !event.isPrimary) return;
    this.#gesture.to(this.#place(event));
    this.redraw();
  }

  #pointerUp(event) {
    const gesture = this.#gesture;
    if (!gesture || !event.isPrimary) return;
    gesture.to(this.#place(event));
    this.#gesture = null;
    if (gesture.still(this.#unit)) {
      if (gesture.id !== null) this.dispatchEvent(new CustomEvent("pick", { detail: gesture.id }));
      this.#giveUp();
    } else {
      this.#finish(gesture.box, gesture.id, gesture.add);
    }
  }

  #finish(box, id, add) {
    if (!box) this.#giveUp();
    else this.dispatchEvent(new CustomEvent("box", { detail: { box, id, add } }));
    this.redraw();
  }

  #giveUp() {
    this.#gesture = null;
    this.#keyed = null;
    this.dispatchEvent(new Event("release"));
    this.redraw();
  }

  #key(event) {
    if (!this.#keyed) {
      if (event.key !== "Enter") return;
      this.beginKeyed(this.addMode);
    } else if (event.key === "Enter") {
      const { box, id, add } = this.#keyed;
      this.#keyed = null;
      this.#finish(box, id, add);
    } else if (event.key === "Escape") {
      this.#giveUp();
    } else if (!this.#nudge(event)) {
      return;
    }
    event.preventDefault();
    // The page's shortcuts listen on the same element.
    event.stopImmediatePropagation();
  }

  /** Moves the box of the keyboard, or with Shift its lower right corner; a key held down goes faster and faster. */
  #nudge(event) {
    const arrow = ARROWS[event.key];
    const keyed = this.#keyed;
    if (!arrow) return false;
    keyed.step = event.repeat ? Math.min(keyed.step * 1.15, LONGEST_KEY_STEP) : KEY_STEP;
    const [dx, dy] = arrow.map((direction) => direction * (event.altKey ? 1 : keyed.step));
    const [x, y, w, h] = keyed.box;
    const next = event.shiftKey
      ? [x, y, Math.max(LEAST_SIDE, w + dx), Math.max(LEAST_SIDE, h + dy)]
      : [x + dx, y + dy, w, h];
    keyed.box = inside(next, this.size);
    this.redraw();
    return true;
  }
}
