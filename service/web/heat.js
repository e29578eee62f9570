// The response map as a picture: clear where the response is low, so that the frame under it stays as it is.

/** RGBA from no response to the highest; style.css draws the legend with the same colours. */
const HEAT_STOPS = [[49, 104, 255, 0], [49, 104, 255, 0], [38, 200, 220, 90], [250, 225, 60, 165], [255, 64, 32, 215]];

/** A correlation map (base64 PNG, grey) as a coloured ImageBitmap. */
export async function colouredMap(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const grey = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(grey.width, grey.height);
  const ctx = canvas.getContext("2d", { willReadFrequently: true });
  ctx.drawImage(grey, 0, 0);
  grey.close();
  const image = ctx.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = image;
  for (let i = 0; i < data.length; i += 4) data.set(heatColour(data[i] / 255), i);
  ctx.putImageData(image, 0, 0);
  return canvas.transferToImageBitmap();
}

/** RGBA bytes of a heat 0..1, between the two nearest stops. */
function heatColour(heat) {
  const place = heat * (HEAT_STOPS.length - 1);
  const index = Math.min(Math.floor(place), HEAT_STOPS.length - 2);
  const share = place - index;
  return HEAT_STOPS[index].map((low, channel) => low + share * (HEAT_STOPS[index + 1][channel] - low));
}
