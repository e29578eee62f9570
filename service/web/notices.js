// What the page says when something is refused or reconnecting, and the key it then may ask for.

const $ = (id) => document.getElementById(id);

export class Notices {
  #api;
  #retry = null;

  constructor(api) {
    this.#api = api;
    $("alert-close").addEventListener("click", () => this.complain(null));
    $("key-form").addEventListener("submit", (event) => this.#useKey(event));
  }

  /** Shows a message; null takes it away. */
  complain(message) {
    $("alert").hidden = !message;
    $("alert-text").textContent = message ?? "";
  }

  /** Says that the connection is being made anew; null: it is there again. */
  reconnecting(attempt, of) {
    $("connection").hidden = attempt === null;
    $("connection").textContent = attempt === null ? "" : `Reconnecting, ${attempt} of ${of}…`;
  }

  /** The result of `call`; on a refusal says so and returns null. A missing key is asked for, then `retry` runs. */
  async attempt(call, retry) {
    try {
      return await call();
    } catch (error) {
      if (error.status === 401) this.askKey(retry);
      else this.complain(error.message);
      return null;
    }
  }

  /** Asks for a key, then runs `retry`. The key in use, if there is one, has just been refused. */
  askKey(retry = null) {
    const refused = this.#api.hasKey;
    this.#api.key = null;
    this.#retry = retry;
    $("key-form").hidden = false;
    $("key-refused").hidden = !refused;
    $("key").setAttribute("aria-invalid", String(refused));
    $("key").select();
    $("key").focus();
  }

  #useKey(event) {
    event.preventDefault();
    this.#api.key = $("key").value.trim();
    $("key-form").hidden = true;
    this.complain(null);
    this.#retry?.();
  }
}
