// The server's HTTP and socket API, version 1. Knows no page.

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
  #key = null;

  setKey(key) {
    this.#key = key || null;
  }

  model() {
    return this.#call("GET", "/v1/model");
  }

  /** Starts a session: `frame` is an encoded image (Blob), `targets` are {id, box}. */
  create(frame, targets) {
    const form = new FormData();
    form.append("frame", frame, "frame.jpg");
    form.append("targets", JSON.stringify(targets));
    return this.#call("POST", "/v1/sessions", form);
  }

  /** Ends a session; a session that is already gone is no error. */
  async remove(sessionId) {
    try {
      await this.#call("DELETE", `/v1/sessions/${encodeURIComponent(sessionId)}`, undefined, true);
    } catch (error) {
      if (![404, 410].includes(error.status)) throw error;
    }
  }

  /** A socket of the session; `streamUrl` as the session said it. */
  openSocket(streamUrl, { map }) {
    const url = new URL(streamUrl, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("mode", "latest");
    url.searchParams.set("map", map ? "1" : "0");
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

function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
