// What the page has to say when something is refused, and the key it then may ask for.

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

  askKey(retry = null) {
    this.#retry = retry;
    $("key-form").hidden = false;
    $("key").focus();
  }

  #useKey(event) {
    event.preventDefault();
    this.#api.setKey($("key").value.trim());
    $("key-form").hidden = true;
    this.complain(null);
    this.#retry?.();
  }
}
