// Hands the result over as files.

import { FORMATS } from "./exports.js";
import { drawTargets } from "./painter.js";

const VIDEO_TYPES = ["video/mp4;codecs=avc1.42E01F", "video/webm;codecs=vp9", "video/webm"];

/** Saves a result (as exports.js says) in one of its formats. */
export function save(result, format) {
  const { ending, type, text } = FORMATS[format];
  offer(new Blob([text(result)], { type }), stem(result.name) + ending);
}

/**
 * Records the clip with its boxes, played at its own speed: a browser's recorder knows no other. `progress` is told the
 * frames done; `signal` ends it early, without a file.
 */
export async function saveVideo(result, source, progress, signal) {
  const type = VIDEO_TYPES.find((each) => MediaRecorder.isTypeSupported(each));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, source.size);
  const ctx = canvas.getContext("2d", { alpha: false });
  const [track] = canvas.captureStream(0).getVideoTracks();
  const recorder = new MediaRecorder(new MediaStream([track]), { mimeType: type, videoBitsPerSecond: 8e6 });
  const pieces = [];
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  const stopped = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  const begun = performance.now();
  for (let frame = 0; frame < result.count && !signal.aborted; frame += 1) {
    if (!(await source.load(frame))) break;
    source.paint(ctx);
    drawTargets(ctx, result.record.shown(frame), null, 1, source.size);
    await until(begun + 1000 * source.time(frame));
    track.requestFrame();
    progress(frame + 1);
  }
  await until(performance.now() + 1000 / source.rate);
  recorder.stop();
  await stopped;
  const ending = type.startsWith("video/mp4") ? ".tracked.mp4" : ".tracked.webm";
  if (!signal.aborted) offer(new Blob(pieces, { type: type.split(";")[0] }), stem(result.name) + ending);
}

function until(time) {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, time - performance.now())));
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
