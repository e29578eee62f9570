// The demo page: the only place where its parts meet.

import { Api } from "./api.js";
import { Clip } from "./clip.js";
import { HINTS, showControls } from "./controls.js";
import { save } from "./downloads.js";
import { Encoder } from "./encoding.js";
import { overlap } from "./geometry.js";
import { Live } from "./live.js";
import { Notices } from "./notices.js";
import { Record } from "./record.js";
import { CameraSource, DemoSource, openDemoClip, openFiles } from "./sources.js";
import { Speed } from "./speed.js";
import { Stage } from "./stage.js";
import { TargetList } from "./targets.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);

class Page {
  #api = new Api();
  #stage = new Stage($("stage"));
  #timeline = new Timeline();
  #record = new Record();
  #list = new TargetList($("targets"), $("no-targets"), {
    select: (id) => this.#select(id),
    remove: (id) => this.#mode.change(() => this.#record.remove(id)),
    rename: (id, name) => this.#edit(() => this.#record.rename(id, name)),
    recolour: (id, colour) => this.#edit(() => this.#record.recolour(id, colour)),
  });
  #source = null;
  #mode = null;
  #drawn = 0;
  /** Which thing of a drawn scene a target's box was given to, by target. */
  #truthOf = new Map();

  // What the modes see of the page.
  notices = new Notices(this.#api);
  encoder = new Encoder();
  speed = new Speed();
  state = "idle";
  selected = null;

  get picture() {
    return this.#stage.picture;
  }

  async start() {
    this.#wire();
    this.enter("idle");
    requestAnimationFrame((now) => this.#tick(now));
    await this.#describeServer();
    await this.#open("demo", () => new DemoSource());
  }

  #wire() {
    for (const button of document.querySelectorAll("[data-source]")) {
      button.addEventListener("click", () => this.#choose(button.dataset.source));
    }
    for (const button of document.querySelectorAll("[data-format]")) {
      button.addEventListener("click", () => this.#save(button.dataset.format));
    }
    $("file").addEventListener("change", (event) => {
      this.#openFiles([...event.target.files]);
      event.target.value = "";
    });
    const buttons = {
      suggest: () => this.#draw({ ...this.#mode.suggestion(), id: null, add: false }),
      pause: () => this.#togglePause(),
      add: () => this.#setAddMode(!this.#stage.addMode),
      undo: () => this.#undo(),
      stop: () => this.#startAgain(),
      back: () => this.#step(-1),
      play: () => this.#mode.togglePlay(),
      forward: () => this.#step(1),
    };
    for (const [id, act] of Object.entries(buttons)) $(id).addEventListener("click", act);
    $("map").addEventListener("change", () => this.#showMap());
    this.#timeline.addEventListener("seek", (event) => this.#mode?.seekable && this.#mode.seek(event.detail));
    this.#stage.addEventListener("grab", () => this.#grab());
    this.#stage.addEventListener("release", () => this.#mode.release());
    this.#stage.addEventListener("pick", (event) => this.#select(event.detail));
    this.#stage.addEventListener("box", (event) => this.#draw(event.detail));
    this.#stage.addEventListener("files", (event) => this.#openFiles(event.detail));
    $("overlay").addEventListener("keydown", (event) => this.#shortcut(event));
    addEventListener("keydown", (event) => this.#undoKey(event));
    addEventListener("pagehide", () => this.#mode?.close());
  }

  async #describeServer() {
    const model = await this.notices.attempt(() => this.#api.model(), () => this.#describeServer());
    if (!model) return;
    $("model").textContent = [model.network, model.device, model.precision].filter((part) => typeof part === "string").join(" · ");
  }

  #tick(now) {
    requestAnimationFrame((next) => this.#tick(next));
    this.#mode?.tick?.(now);
  }

  // Sources

  #choose(kind) {
    if (kind === "file") $("file").click();
    else if (kind === "camera") this.#open(kind, () => CameraSource.open());
    else if (kind === "clip") this.#open(kind, openDemoClip);
    else this.#open(kind, () => new DemoSource());
  }

  #openFiles(files) {
    if (files.length) this.#open("file", () => openFiles(files));
  }

  async #open(kind, make) {
    this.notices.complain(null);
    let source;
    try {
      source = await make();
    } catch (error) {
      this.notices.complain(error.message);
      return;
    }
    await this.#mode?.close();
    this.#record.forget();
    this.selected = null;
    this.speed.reset();
    this.#source = source;
    this.#stage.size = source.size;
    $("credit").textContent = source.credit ?? "";
    this.#mode = new (source.live ? Live : Clip)(this.#api, source, this.#record, this);
    this.#mode.map = $("map").checked;
    for (const button of document.querySelectorAll("[data-source]")) {
      button.setAttribute("aria-pressed", String(button.dataset.source === kind));
    }
    await this.#mode.open();
  }

  // Called by the modes

  enter(state) {
    this.state = state;
    document.body.dataset.state = state;
    this.say(HINTS[state]);
    if (state !== "tracking") {
      this.speed.interrupt();
      this.notices.reconnecting(null);
    }
    this.#stage.enabled = state !== "idle" && state !== "saving";
    this.refresh();
  }

  /** Says something under the picture, until the next state. */
  say(text) {
    $("hint").textContent = text;
  }

  /** Shows what the record and the mode say now. */
  refresh() {
    if (!this.#mode) return;
    const { index, count } = this.#mode;
    const truth = this.#mode.truth();
    if (!this.#record.target(this.selected)) this.selected = this.#record.targets[0]?.id ?? null;
    const shown = this.#record.shown(index).map((target) => {
      const place = truth?.[this.#truthOf.get(target.id)];
      return place ? { ...target, overlap: overlap(target.box, place) } : target;
    });
    this.#list.show(this.#record.targets, shown, this.selected);
    this.#timeline.show({ record: this.#record, count, index, time: (at) => this.#mode.time(at), selected: this.selected });
    this.#enableControls();
    this.#showStage(shown);
  }

  refused({ message, status, refusedKey }, retry) {
    if (status === 401 || refusedKey) this.notices.askKey(retry);
    else this.notices.complain(message);
  }

  async #showStage(shown) {
    this.#drawn += 1;
    const drawn = this.#drawn;
    const suggestion = this.state === "preview" ? this.#mode.suggestion()?.box : null;
    const map = $("map").checked ? await this.#mode.responseMap(this.selected) : null;
    if (drawn === this.#drawn) this.#stage.show({ targets: shown, selected: this.selected, suggestion, map });
  }

  #enableControls() {
    showControls({
      state: this.state,
      some: !this.#record.empty,
      clip: this.#mode.seekable,
      unfinished: this.#mode.unfinished,
      playing: this.#mode.playing,
      undoable: this.#record.undoable,
      suggestion: this.#mode.suggestion()?.what ?? null,
      mapOf: $("map").checked ? (this.#record.target(this.selected)?.name ?? "") : null,
    });
  }

  // Commands

  #grab() {
    this.speed.interrupt();
    this.#mode.hold();
  }

  /** A box was drawn, or one of a target's was changed: `id`, or null for a box elsewhere. */
  #draw({ box, id, add }) {
    this.notices.complain(null);
    this.#setAddMode(false);
    const target = id ?? (add ? null : this.selected);
    this.selected = this.#mode.draw(target, box);
    const near = Object.entries(this.#mode.truth() ?? {}).find(([, place]) => overlap(box, place) > 0.3);
    if (near) this.#truthOf.set(this.selected, near[0]);
    else this.#truthOf.delete(this.selected);
    this.refresh();
  }

  #select(id) {
    this.selected = id;
    this.refresh();
  }

  #edit(act) {
    act();
    this.refresh();
  }

  #togglePause() {
    if ($("pause").disabled) return;
    if (this.state === "tracking") this.#mode.pause();
    else this.#mode.go();
  }

  #step(by) {
    const { index, count } = this.#mode;
    if (this.#mode.seekable) this.#mode.seek(Math.max(0, Math.min(count - 1, index + by)));
  }

  #setAddMode(on) {
    this.#stage.addMode = on;
    $("add").setAttribute("aria-pressed", String(on));
    this.say(on ? "Drag a box around the other target." : HINTS[this.state]);
  }

  #undo() {
    if (this.#record.undoable) this.#mode.change(() => this.#record.undo());
  }

  async #startAgain() {
    await this.#mode.change(() => this.#record.clear());
    this.speed.reset();
  }

  #showMap() {
    this.#mode.map = $("map").checked;
    this.refresh();
  }

  #save(format) {
    const { name, size } = this.#source;
    const time = (index) => this.#mode.time(index);
    const result = { name, size, count: this.#mode.count, time, record: this.#record };
    if (format === "video") this.#mode.saveVideo(result);
    else save(result, format);
  }

  #shortcut(event) {
    const commands = {
      " ": () => this.#togglePause(),
      a: () => this.#stage.beginKeyed(true),
      Delete: () => this.selected !== null && this.#mode.change(() => this.#record.remove(this.selected)),
      ArrowLeft: () => this.#step(event.shiftKey ? -10 : -1),
      ArrowRight: () => this.#step(event.shiftKey ? 10 : 1),
      p: () => this.#mode.seekable && this.#mode.togglePlay(),
    };
    const command = commands[event.key];
    if (!command || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    command();
  }

  #undoKey(event) {
    const typing = event.target instanceof HTMLInputElement && event.target.type !== "checkbox";
    if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey) || typing) return;
    event.preventDefault();
    this.#undo();
  }
}

await new Page().start();
