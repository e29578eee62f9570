// Which controls can be used now, and what they say.

const $ = (id) => document.getElementById(id);

/** What the page says under the picture, by state. */
export const HINTS = {
  idle: "Choose where the frames come from.",
  preview: "Drag a box around what to follow.",
  tracking: "Drag corrects the selected target, “Add target” or Shift-drag adds one.",
  paused: "Paused. Move or redraw a box to correct it on this frame, then “Go on”.",
  saving: "Making the video…",
  ended: "Done. Go back to any frame and correct a box there, add a target, or save the result.",
};

/**
 * Sets every control. `some`: there are targets; `clip`: its frames can be sought; `suggestion`: what may be followed, or
 * null; `mapOf`: the name of the target whose response map is shown, or null.
 */
export function showControls({ state, some, clip, unfinished, playing, undoable, suggestion, mapOf }) {
  const tracking = state === "tracking";
  const saving = state === "saving";
  const onward = some && unfinished && !tracking && !saving;
  $("pause").disabled = !(tracking || onward);
  $("pause").textContent = onward ? "Go on" : "Pause";
  $("pause").classList.toggle("primary", onward);
  $("add").disabled = !some || saving;
  $("undo").disabled = !undoable || saving;
  $("stop").disabled = !some || saving;
  $("suggest").hidden = !(state === "preview" && suggestion);
  $("suggest").textContent = `Follow ${suggestion ?? "it"}`;
  for (const id of ["back", "forward", "play", "frame-number"]) $(id).disabled = !clip || saving;
  $("play").textContent = playing ? "❚❚" : "▶";
  $("play").setAttribute("aria-label", playing ? "Stop playing" : "Play");
  $("transport").hidden = !clip && !some;
  for (const button of document.querySelectorAll("[data-format]")) button.disabled = !some || saving;
  document.querySelector('[data-format="video"]').hidden = !clip;
  $("map-legend").hidden = mapOf === null;
  $("map-name").textContent = mapOf ?? "";
}
