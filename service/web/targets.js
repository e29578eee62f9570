// The list of targets beside the picture: select, name, colour, remove.

export class TargetList {
  #list;
  #empty;
  #rows = new Map();
  #handlers;

  /** handlers: select(id), remove(id), rename(id, name), recolour(id, colour). */
  constructor(list, empty, handlers) {
    this.#list = list;
    this.#empty = empty;
    this.#handlers = handlers;
  }

  /** `targets`: {id, name, colour}; `shown`: what of them stands in the frame in view, as the record says. */
  show(targets, shown, selected) {
    const present = new Set(targets.map((target) => target.id));
    for (const [id, row] of this.#rows) {
      if (present.has(id)) continue;
      row.item.remove();
      this.#rows.delete(id);
    }
    for (const target of targets) {
      if (!this.#rows.has(target.id)) this.#rows.set(target.id, this.#add(target.id));
      const place = shown.find((each) => each.id === target.id);
      fill(this.#rows.get(target.id), target, place, target.id === selected);
    }
    this.#empty.hidden = targets.length > 0;
  }

  #add(id) {
    const item = element("li");
    item.dataset.id = id;
    const colour = input("color", `Colour of ${id}`);
    colour.addEventListener("input", () => this.#handlers.recolour(id, colour.value));
    const name = input("text", `Name of ${id}`);
    name.maxLength = 40;
    name.addEventListener("change", () => this.#handlers.rename(id, name.value));
    name.addEventListener("focus", () => this.#handlers.select(id));
    const pick = button("status", "", () => this.#handlers.select(id));
    const remove = button("quiet", "✕", () => this.#handlers.remove(id));
    remove.setAttribute("aria-label", `Stop following ${id}`);
    const score = element("div", "score");
    const bar = element("span");
    score.append(bar);
    const detail = element("p", "detail");
    item.append(colour, name, remove, pick, score, detail);
    this.#list.append(item);
    return { item, colour, name, pick, bar, detail };
  }
}

function fill({ item, colour, name, pick, bar, detail }, target, place, selected) {
  item.dataset.status = place?.status ?? "none";
  item.classList.toggle("selected", selected);
  pick.setAttribute("aria-pressed", String(selected));
  pick.setAttribute("aria-label", `Select ${target.name}`);
  colour.value = target.colour;
  if (document.activeElement !== name) name.value = target.name;
  const percent = place?.score === null || place?.score === undefined ? "" : ` · ${Math.round(place.score * 100)} %`;
  pick.textContent = place ? `${place.status}${percent}` : "not here";
  bar.style.width = `${(place?.score ?? (place ? 1 : 0)) * 100}%`;
  const box = place ? place.box.map((value) => Math.round(value)).join(", ") : "–";
  detail.textContent = place?.overlap === undefined ? box : `${box} · overlap with the truth ${place.overlap.toFixed(2)}`;
  item.dataset.overlap = place?.overlap?.toFixed(3) ?? "";
}

function element(tag, className = "", content = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

function button(className, content, act) {
  const made = element("button", className, content);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

function input(type, label) {
  const made = document.createElement("input");
  made.type = type;
  made.autocomplete = "off";
  made.setAttribute("aria-label", label);
  return made;
}
