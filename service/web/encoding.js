// A frame as it is sent: JPEG, in the picture's own pixels, whole or a part of it.

const JPEG_QUALITY = 0.92;

/**
 * The frame that `source` has loaded: {blob, bitmap}, the JPEG and the same whole picture to show with its answer.
 * `part`: [x, y, w, h] in frame pixels, all that the JPEG has to show; null for the whole frame.
 */
export async function encoded(source, part = null) {
  const { width, height } = source.size;
  const whole = new OffscreenCanvas(width, height);
  source.paint(whole.getContext("2d", { alpha: false }));
  const blob = await jpeg(part ? cut(whole, part) : whole);
  return { blob, bitmap: whole.transferToImageBitmap() };
}

function cut(whole, [x, y, w, h]) {
  const canvas = new OffscreenCanvas(w, h);
  canvas.getContext("2d", { alpha: false }).drawImage(whole, x, y, w, h, 0, 0, w, h);
  return canvas;
}

function jpeg(canvas) {
  return canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
}
