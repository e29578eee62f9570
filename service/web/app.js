// The demo page: the only place where its parts meet.

import { Api } from "./api.js";
import { Notices } from "./notices.js";
import { TargetList, Speed, overlap } from "./panel.js";
import { CameraSource, DemoSource, openFiles } from "./sources.js";
import { Stage } from "./stage.js";
import { Tracking } from "./tracking.js";

const $ = (id) => document.getElementById(id);

const HINTS = {
  idle: "Choose where the frames come from.",
  preview: "Drag a box around what to follow.",
  starting: "Starting…",
  tracking: "Drag to correct the selected target; “Add target” or Shift-drag follows another.",
  paused: "Paused. Drag to correct the selected target.",
  ended: "The video is over. Choose a source to begin again.",
};

class Page {
  #api = new Api();
  #notices = new Notices(this.#api);
  #stage = new Stage($("stage"));
  #speed = new Speed();
  #list = new TargetList($("targets"), $("no-targets"), {
    select: (id) => this.#select(id),
    remove: (id) => this.#remove(id),
  });
  #source = null;
  #tracking = null;
  #state = "idle";
  #selected = null;
  #encoding = false;
  /** The truth of the frame in view, by name; and which of its names a target was drawn on, by target id. */
  #truth = null;
  #truthOf = new Map();

  async start() {
    this.#wire();
    this.#enter("idle");
    requestAnimationFrame((now) => this.#tick(now));
    await this.#describeServer();
    await this.#open("demo", () => new DemoSource());
  }

  #wire() {
    for (const button of document.querySelectorAll("[data-source]")) {
      button.addEventListener("click", () => this.#choose(button.dataset.source));
    }
    $("file").addEventListener("change", (event) => {
      this.#openFiles([...event.target.files]);
      event.target.value = "";
    });
    $("suggest").addEventListener("click", () => this.#begin(this.#suggestion(), false));
    $("pause").addEventListener("click", () => this.#togglePause());
    $("add").addEventListener("click", () => this.#setAddMode(!this.#stage.addMode));
    $("stop").addEventListener("click", () => this.#stop());
    $("map").addEventListener("change", () => this.#tracking?.setMap($("map").checked));
    $("seek").addEventListener("input", (event) => this.#source?.seek?.(event.target.value / event.target.max));
    this.#stage.addEventListener("grab", () => this.#speed.interrupt());
    this.#stage.addEventListener("box", (event) => this.#begin(event.detail.box, event.detail.add));
    $("overlay").addEventListener("keydown", (event) => this.#shortcut(event));
    addEventListener("pagehide", () => this.#tracking?.stop());
    this.#stage.addEventListener("files", (event) => this.#openFiles(event.detail));
  }

  async #describeServer() {
    const model = await this.#notices.attempt(() => this.#api.model(), () => this.#describeServer());
    if (!model) return;
    $("model").textContent = [model.network, model.device, model.precision].filter((part) => typeof part === "string").join(" · ");
  }

  // Sources

  #choose(kind) {
    if (kind === "file") $("file").click();
    else if (kind === "camera") this.#open(kind, () => CameraSource.open());
    else this.#open(kind, () => new DemoSource());
  }

  #openFiles(files) {
    if (files.length) this.#open("file", () => openFiles(files));
  }

  async #open(kind, make) {
    this.#notices.complain(null);
    let source;
    try {
      source = await make();
    } catch (error) {
      this.#notices.complain(error.message);
      return;
    }
    await this.#stop();
    this.#source?.stop();
    this.#source = source;
    this.#stage.size = source.size;
    for (const button of document.querySelectorAll("[data-source]")) {
      button.setAttribute("aria-pressed", String(button.dataset.source === kind));
    }
    this.#enter("preview");
  }

  // States

  #enter(state) {
    this.#state = state;
    document.body.dataset.state = state;
    const running = state === "tracking" || state === "paused";
    $("hint").textContent = HINTS[state];
    $("pause").disabled = !running;
    $("pause").textContent = state === "paused" ? "Go on" : "Pause";
    $("pause").setAttribute("aria-pressed", String(state === "paused"));
    $("add").disabled = !running;
    $("stop").disabled = !(running || state === "ended");
    $("suggest").hidden = !(state === "preview" && this.#source?.truth);
    $("seek-row").hidden = !(state === "preview" && this.#source?.seek);
    this.#stage.enabled = running || state === "preview";
    if (state === "preview") {
      $("seek").value = 0;
      this.#truth = this.#source.truth?.() ?? null;
      this.#stage.show({ targets: [], selected: null, suggestion: this.#suggestion() });
    }
  }

  #suggestion() {
    return this.#source?.truth?.().ladybird ?? null;
  }

  #tick(now) {
    requestAnimationFrame((next) => this.#tick(next));
    if (!this.#source || this.#encoding || this.#stage.drawing) return;
    if (this.#state === "preview" && this.#source.advance(now)) {
      this.#source.paint(this.#stage.picture);
      this.#stage.redraw();
    } else if (this.#state === "tracking" && this.#tracking.takesFrames) {
      if (this.#source.advance(now)) this.#send();
      else if (this.#source.ended) this.#finish();
    }
  }

  async #send() {
    this.#encoding = true;
    try {
      const { width, height } = this.#stage.size;
      const canvas = new OffscreenCanvas(width, height);
      this.#source.paint(canvas.getContext("2d", { alpha: false }));
      await this.#tracking?.send(canvas, this.#source.truth?.());
    } catch (error) {
      this.#notices.complain(error.message);
    } finally {
      this.#encoding = false;
    }
  }

  async #finish() {
    await this.#tracking.end();
    if (this.#state === "tracking") this.#enter("ended");
  }

  /** A box was drawn: the first starts a session, a later one corrects or adds a target on the frame in view. */
  async #begin(box, add) {
    this.#notices.complain(null);
    this.#setAddMode(false);
    if (this.#tracking) {
      const id = add || this.#selected === null ? this.#tracking.freshId() : this.#selected;
      this.#selected = id;
      this.#tieToTruth(id, box);
      const sent = await this.#tracking.correct(id, box, this.#stage.picture.canvas, this.#truth);
      if (!sent) this.#notices.complain("The connection is being made anew; draw the box again in a moment.");
      return;
    }
    if (this.#state !== "preview") return;
    this.#enter("starting");
    this.#speed.reset();
    const tracking = new Tracking(this.#api, {
      result: (result) => this.#show(result),
      dropped: () => this.#speed.dropped(),
      fault: (message) => this.#notices.complain(message),
      lost: (message, refusedKey) => this.#ended(message, refusedKey),
    });
    const begin = () => tracking.start(this.#stage.picture.canvas, box, $("map").checked);
    const session = await this.#notices.attempt(begin, () => this.#begin(box, add));
    if (this.#state !== "starting") {
      await tracking.stop();
      return;
    }
    if (!session) {
      this.#enter("preview");
      return;
    }
    this.#tracking = tracking;
    this.#selected = session.targets[0].id;
    this.#tieToTruth(this.#selected, box);
    this.#display(session.targets);
    this.#enter("tracking");
    await this.#source.play();
  }

  /** Remembers which thing of a known scene the box was drawn on, so that its overlap can be shown. */
  #tieToTruth(id, box) {
    const near = Object.entries(this.#truth ?? {}).find(([, place]) => overlap(box, place) > 0.3);
    if (near) this.#truthOf.set(id, near[0]);
    else this.#truthOf.delete(id);
  }

  #show({ message, targets, bitmap, truth, roundTripMs }) {
    this.#speed.answered(message.timing_ms, roundTripMs);
    if (!this.#stage.drawing) this.#stage.picture.drawImage(bitmap, 0, 0);
    this.#truth = truth;
    this.#display(targets);
  }

  #display(targets) {
    // The selected one may be on its way to the server still.
    const selected = targets.some((target) => target.id === this.#selected) ? this.#selected : null;
    const shown = targets.map((target) => {
      const place = this.#truth?.[this.#truthOf.get(target.id)];
      return place ? { ...target, overlap: overlap(target.box, place) } : target;
    });
    this.#list.show(shown, selected);
    if (!this.#stage.drawing) this.#stage.show({ targets, selected });
  }

  // Commands

  #select(id) {
    this.#selected = id;
    if (this.#tracking) this.#display(this.#tracking.targets);
  }

  async #remove(id) {
    if (!this.#tracking) return;
    this.#tracking.remove(id);
    if (id === this.#selected) this.#selected = this.#tracking.targets[0]?.id ?? null;
    if (!this.#tracking.targets.length) await this.#stop();
    else this.#display(this.#tracking.targets);
  }

  #togglePause() {
    this.#speed.interrupt();
    if (this.#state === "tracking") {
      this.#source.pause();
      this.#enter("paused");
    } else if (this.#state === "paused") {
      this.#source.play();
      this.#enter("tracking");
    }
  }

  #setAddMode(on) {
    this.#stage.addMode = on;
    $("add").setAttribute("aria-pressed", String(on));
    if (on) $("hint").textContent = "Drag a box around the other target.";
  }

  async #stop() {
    const tracking = this.#tracking;
    this.#tracking = null;
    this.#selected = null;
    if (this.#source?.ended) this.#source.seek?.(0);
    this.#source?.pause();
    this.#list.show([], null);
    if (this.#source) this.#enter("preview");
    await tracking?.stop();
  }

  #ended(message, refusedKey) {
    this.#notices.complain(message);
    this.#stop();
    if (refusedKey) this.#notices.askKey();
  }

  #shortcut(event) {
    const commands = {
      " ": () => this.#togglePause(),
      a: () => this.#stage.beginKeyed(true),
      Delete: () => this.#selected !== null && this.#remove(this.#selected),
    };
    const command = commands[event.key];
    if (!command || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    command();
  }
}

await new Page().start();
