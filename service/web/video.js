// Opens a video file so that each of its frames can be had, by one of two ways.
//
// The container (MP4, QuickTime, WebM, Matroska) lists its frames. Where the page may use WebCodecs (https or localhost)
// they are decoded one after another; else a video element is stepped through, which needs a seek a frame.

import { CodecReader, decodable } from "./codec_reader.js";
import { readMp4 } from "./mp4.js";
import { StepReader } from "./step_reader.js";
import { readWebm } from "./webm.js";

/** The frames of a video file. Throws an Error that says what to do where this browser cannot decode it. */
export async function openVideo(file) {
  const table = await frameTable(file);
  if (table && (await decodable(table))) {
    try {
      return await CodecReader.open(file, table);
    } catch {
      // What the browser promised to decode and did not: the element may do better.
    }
  }
  const reader = table && (await StepReader.open(file, table));
  if (reader) return reader;
  throw new Error(
    `${file.name}: this browser cannot decode it. Convert it to H.264 in MP4 (ffmpeg -i ${file.name} -c:v libx264 ` +
      `-pix_fmt yuv420p out.mp4), or follow it with: siamfc track ${file.name} --box x,y,w,h`,
  );
}

/**
 * The frames that the container lists, or null: {codec, description, size, rotation, samples, shown}. `samples` in
 * decoding order: {offset, size, time, key}, time in seconds. `shown`: numbers of samples in the order of their times.
 */
async function frameTable(file) {
  try {
    const table = (await readMp4(file)) ?? (await readWebm(file));
    if (!table?.samples.length) return null;
    const shown = [...table.samples.keys()].filter((place) => table.samples[place].visible !== false);
    shown.sort((a, b) => table.samples[a].time - table.samples[b].time);
    return { ...table, shown };
  } catch (error) {
    if (error instanceof RangeError) return null; // A container cut short or damaged.
    throw error;
  }
}
