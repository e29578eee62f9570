// The numbers and lists beside the picture, and the messages under it.

const PARTS = ["decode", "queue", "infer", "transfer"];
const SMOOTHING = 0.15;
/** RGBA from no response to the highest. */
const HEAT_STOPS = [[8, 8, 48, 70], [80, 18, 110, 110], [188, 54, 84, 170], [249, 142, 9, 215], [252, 250, 164, 240]];

/** Shows targets as a list; the list's buttons select and remove. */
export class TargetList {
  #list;
  #empty;
  #rows = new Map();
  #handlers;

  /** handlers: select(id), remove(id). */
  constructor(list, empty, handlers) {
    this.#list = list;
    this.#empty = empty;
    this.#handlers = handlers;
  }

  show(targets, selected) {
    const present = new Set(targets.map((target) => target.id));
    for (const [id, row] of this.#rows) {
      if (present.has(id)) continue;
      row.item.remove();
      this.#rows.delete(id);
    }
    for (const target of targets) {
      if (!this.#rows.has(target.id)) this.#rows.set(target.id, this.#add(target.id));
      this.#fill(this.#rows.get(target.id), target, target.id === selected);
    }
    this.#empty.hidden = targets.length > 0;
  }

  #add(id) {
    const item = document.createElement("li");
    item.dataset.id = id;
    const pick = element("button", "pick");
    pick.type = "button";
    const name = element("strong", "", id);
    const status = element("span", "status");
    pick.append(name, status);
    pick.addEventListener("click", () => this.#handlers.select(id));
    const remove = element("button", "quiet", "✕");
    remove.type = "button";
    remove.setAttribute("aria-label", `Stop following ${id}`);
    remove.addEventListener("click", () => this.#handlers.remove(id));
    const score = element("div", "score");
    const bar = element("span");
    score.append(bar);
    const detail = element("p", "detail");
    item.append(pick, remove, score, detail);
    this.#list.append(item);
    return { item, pick, status, bar, detail };
  }

  #fill({ item, pick, status, bar, detail }, { box, score, status: state, overlap }, selected) {
    item.dataset.status = state;
    item.classList.toggle("selected", selected);
    pick.setAttribute("aria-pressed", String(selected));
    status.textContent = `${state} · ${Math.round(score * 100)} %`;
    bar.style.width = `${score * 100}%`;
    const place = box.map((value) => Math.round(value)).join(", ");
    detail.textContent = overlap === undefined ? place : `${place} · overlap with the truth ${overlap.toFixed(2)}`;
    item.dataset.overlap = overlap?.toFixed(3) ?? "";
  }
}

/** Frames a second, round trip and where the time goes; smoothed. */
export class Speed {
  #means = new Map();
  #lastAt = null;
  #answered = 0;
  #dropped = 0;

  reset() {
    this.#means.clear();
    this.#lastAt = null;
    this.#answered = 0;
    this.#dropped = 0;
    text("answered", "0");
    text("dropped", "0");
  }

  dropped() {
    this.#dropped += 1;
    text("dropped", String(this.#dropped));
  }

  /** A pause is no slow frame. */
  interrupt() {
    this.#lastAt = null;
  }

  answered(timing, roundTripMs) {
    const now = performance.now();
    if (this.#lastAt !== null) text("fps", (1000 / this.#smooth("interval", now - this.#lastAt)).toFixed(1));
    this.#lastAt = now;
    this.#answered += 1;
    text("answered", String(this.#answered));
    text("round-trip", this.#smooth("round", roundTripMs).toFixed(0));
    const parts = {
      decode: timing.decode,
      queue: Math.max(0, timing.total - timing.decode - timing.infer),
      infer: timing.infer,
      transfer: Math.max(0, roundTripMs - timing.total),
    };
    for (const part of PARTS) {
      const mean = this.#smooth(part, parts[part]);
      text(`${part}-ms`, `${mean.toFixed(1)} ms`);
      document.querySelector(`#breakdown [data-part="${part}"]`).style.flexGrow = mean.toFixed(3);
    }
  }

  #smooth(name, value) {
    const before = this.#means.get(name);
    const mean = before === undefined ? value : before + SMOOTHING * (value - before);
    this.#means.set(name, mean);
    return mean;
  }
}

/** A correlation map (base64 PNG, grey) as a coloured picture, dark where the response is low. */
export async function colouredMap(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const grey = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(grey.width, grey.height);
  const ctx = canvas.getContext("2d", { willReadFrequently: true });
  ctx.drawImage(grey, 0, 0);
  grey.close();
  const image = ctx.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = image;
  for (let i = 0; i < data.length; i += 4) data.set(heatColour(data[i] / 255), i);
  ctx.putImageData(image, 0, 0);
  return canvas.transferToImageBitmap();
}

/** RGBA bytes of a heat 0..1, between the two nearest stops. */
function heatColour(heat) {
  const place = heat * (HEAT_STOPS.length - 1);
  const index = Math.min(Math.floor(place), HEAT_STOPS.length - 2);
  const share = place - index;
  return HEAT_STOPS[index].map((low, channel) => low + share * (HEAT_STOPS[index + 1][channel] - low));
}

/** Intersection over union of two [x, y, w, h]. */
export function overlap(a, b) {
  const w = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const h = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  const both = Math.max(0, w) * Math.max(0, h);
  return both / (a[2] * a[3] + b[2] * b[3] - both);
}

function element(tag, className = "", content = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

function text(id, content) {
  document.getElementById(id).textContent = content;
}
