// A picture as JPEG, on whichever thread it is asked for.

const QUALITY = 0.92;

/** The JPEG's bytes (ArrayBuffer: a socket sends them in the order of the calls) of an ImageBitmap, which is closed. */
export async function jpegOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d", { alpha: false }).drawImage(bitmap, 0, 0);
  bitmap.close();
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  return blob.arrayBuffer();
}
