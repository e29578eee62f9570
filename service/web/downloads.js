// Hands the result over as files.

import { FORMATS } from "./exports.js";
import { drawTargets } from "./painter.js";
import { videoFile } from "./video_files.js";

/** Saves a result (as exports.js says) in one of its formats. */
export function save(result, format) {
  const { ending, type, text } = FORMATS[format];
  offer(new Blob([text(result)], { type }), stem(result.name) + ending);
}

/** Saves the clip with its boxes. `progress` is told the frames done; `signal` ends it early, without a file. */
export async function saveVideo(result, source, progress, signal) {
  const { size, rate } = source;
  const draw = async (context, index) => {
    if (!(await source.load(index))) return false;
    source.paint(context);
    drawTargets(context, result.record.shown(index), null, 1, size);
    return true;
  };
  const time = (index) => source.time(index);
  const blob = await videoFile({ size, rate, count: result.count, time, draw }, progress, signal);
  if (blob) offer(blob, stem(result.name) + (blob.type === "video/mp4" ? ".tracked.mp4" : ".tracked.webm"));
}

function stem(name) {
  return name.replace(/\.[^.]+$/, "") || "result";
}

function offer(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Only when the download has surely begun.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
