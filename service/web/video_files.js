// Makes a video file of pictures, by one of two ways.
//
// Where the page may use WebCodecs (https or localhost) and the browser encodes H.264, every frame is encoded, at its
// own time, as fast as it goes. Elsewhere the browser's recorder watches the clip being played, and may leave frames out.

import { mp4Of } from "./mp4_writer.js";

const CODECS = ["avc1.640028", "avc1.640033", "avc1.42E01F"];
const RECORDED = ["video/mp4;codecs=avc1.42E01F", "video/webm;codecs=vp9", "video/webm"];
const BITS_A_PIXEL = 0.2;
const LEAST_BITRATE = 2e6;
const KEY_EVERY = 50;
/** Frames that may wait in the encoder. */
const AHEAD = 4;

/**
 * The video as a Blob, or null where `signal` ended it. `clip`: {size, rate, count, time(index), draw(context, index)},
 * `draw` resolving to whether there is such a frame. `progress` is told the frames done. Throws where encoding fails.
 */
export async function videoFile(clip, progress, signal) {
  const config = await encoderConfig(clip);
  const blob = config ? await encode(clip, config, progress, signal) : await record(clip, progress, signal);
  return signal.aborted ? null : blob;
}

/** The encoder's configuration, or null where there is no encoder for such pictures. */
async function encoderConfig({ size, rate }) {
  if (!("VideoEncoder" in globalThis)) return null;
  // H.264 stores colours for every other pixel: an odd last column or row is left out.
  const [width, height] = [size.width & ~1, size.height & ~1];
  const bitrate = Math.max(LEAST_BITRATE, Math.round(width * height * rate * BITS_A_PIXEL));
  for (const codec of CODECS) {
    const config = { codec, width, height, bitrate, framerate: rate, avc: { format: "avc" } };
    const { supported } = await VideoEncoder.isConfigSupported(config).catch(() => ({}));
    if (supported) return config;
  }
  return null;
}

async function encode(clip, config, progress, signal) {
  const { canvas, context } = sheet({ width: config.width, height: config.height });
  const samples = [];
  let [description, failure, wake] = [null, null, () => {}];
  const encoder = new VideoEncoder({
    output: (chunk, { decoderConfig }) => {
      description ??= decoderConfig?.description ?? null;
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      samples.push({ data, key: chunk.type === "key", time: chunk.timestamp / 1e6 });
    },
    error: (error) => {
      failure = error;
      wake();
    },
  });
  encoder.ondequeue = () => wake();
  encoder.configure(config);
  for (let index = 0; index < clip.count && !signal.aborted && !failure; index += 1) {
    if (!(await clip.draw(context, index))) break;
    const picture = new VideoFrame(canvas, { timestamp: Math.round(1e6 * clip.time(index)) });
    encoder.encode(picture, { keyFrame: index % KEY_EVERY === 0 });
    picture.close();
    while (!failure && encoder.encodeQueueSize > AHEAD) await new Promise((resolve) => (wake = resolve));
    progress(index + 1);
  }
  if (!failure) await encoder.flush();
  if (encoder.state !== "closed") encoder.close();
  if (failure || !samples.length) throw new Error("The browser could not encode the video.");
  const duration = samples.at(-1).time - samples[0].time + 1 / clip.rate;
  return mp4Of({ size: { width: config.width, height: config.height }, description, samples, duration });
}

/** Records the clip played at its own speed: a browser's recorder knows no other. */
async function record(clip, progress, signal) {
  const type = RECORDED.find((each) => MediaRecorder.isTypeSupported(each));
  const { canvas, context } = sheet(clip.size);
  const [track] = canvas.captureStream(0).getVideoTracks();
  const recorder = new MediaRecorder(new MediaStream([track]), { mimeType: type, videoBitsPerSecond: 8e6 });
  const pieces = [];
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  const stopped = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  const begun = performance.now();
  for (let index = 0; index < clip.count && !signal.aborted; index += 1) {
    if (!(await clip.draw(context, index))) break;
    await until(begun + 1000 * clip.time(index));
    track.requestFrame();
    progress(index + 1);
  }
  await until(performance.now() + 1000 / clip.rate);
  recorder.stop();
  await stopped;
  return new Blob(pieces, { type: type.split(";")[0] });
}

function sheet(size) {
  const canvas = Object.assign(document.createElement("canvas"), size);
  return { canvas, context: canvas.getContext("2d", { alpha: false }) };
}

function until(time) {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, time - performance.now())));
}
