// A picture as JPEG, on whichever thread it is asked for.

const QUALITY = 0.92;

/** The JPEG (Blob) of an ImageBitmap, which is closed. */
export function jpegOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d", { alpha: false }).drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
}
