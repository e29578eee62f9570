// The server's HTTP and socket API, version 1. Knows no page.

/** Where the key lives as long as the tab does. */
const KEY_ITEM = "siamfc-key";

/** A refusal, as the server's problem+json says it. */
export class ApiError extends Error {
  constructor(problem, status) {
    const fields = (problem.errors ?? []).map((error) => error.detail).filter(Boolean);
    super([problem.detail || problem.title || `The server answered ${status}.`, ...fields].join(" "));
    this.name = "ApiError";
    this.status = status;
    this.problem = problem;
  }
}

export class Api {
  #key = sessionStorage.getItem(KEY_ITEM);

  get hasKey() {
    return this.#key !== null;
  }

  /** The key of all further calls; null: none. */
  set key(key) {
    this.#key = key || null;
    if (this.#key) sessionStorage.setItem(KEY_ITEM, this.#key);
    else sessionStorage.removeItem(KEY_ITEM);
  }

  model() {
    return this.#call("GET", "/v1/model");
  }

  /** Starts a session: `frame` is the bytes of a JPEG, `targets` are {id, box}. */
  create(frame, targets) {
    const form = new FormData();
    form.append("frame", new Blob([frame], { type: "image/jpeg" }), "frame.jpg");
    form.append("targets", JSON.stringify(targets));
    return this.#call("POST", "/v1/sessions", form);
  }

  /** Adds a target or corrects its box on a frame. The session must have no connection. */
  place(sessionId, id, frame, box) {
    const form = new FormData();
    form.append("frame", new Blob([frame], { type: "image/jpeg" }), "frame.jpg");
    form.append("box", box.join(","));
    return this.#call("PUT", `${pathOf(sessionId)}/targets/${encodeURIComponent(id)}`, form);
  }

  /** Ends a session; a session that is already gone is no error. */
  async remove(sessionId) {
    try {
      await this.#call("DELETE", pathOf(sessionId), undefined, true);
    } catch (error) {
      if (![404, 410].includes(error.status)) throw error;
    }
  }

  /** A socket of the session; `streamUrl` as the session said it, `resume` as `Stream` does, or null. */
  openSocket(streamUrl, { mode, map, resume }) {
    const url = new URL(streamUrl, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("mode", mode);
    url.searchParams.set("map", map ? "1" : "0");
    if (resume) url.searchParams.set("resume", resume);
    const protocols = ["siamfc.v1"];
    if (this.#key) protocols.push(`base64url.bearer.authorization.${base64url(this.#key)}`);
    return new WebSocket(url, protocols);
  }

  async #call(method, path, body, keepalive = false) {
    const headers = this.#key ? { Authorization: `Bearer ${this.#key}` } : {};
    let response;
    try {
      response = await fetch(path, { method, body, headers, keepalive });
    } catch {
      throw new ApiError({ detail: "The server cannot be reached." }, 0);
    }
    if (response.status === 204) return null;
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new ApiError(answer, response.status);
    return answer;
  }
}

function pathOf(sessionId) {
  return `/v1/sessions/${encodeURIComponent(sessionId)}`;
}

function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
