// Encodes pictures off the page's thread. Says "ready", then answers {number, bitmap} with {number, blob or error}.

import { jpegOf } from "./jpeg.js";

addEventListener("message", async ({ data: { number, bitmap } }) => {
  try {
    postMessage({ number, blob: await jpegOf(bitmap) });
  } catch (error) {
    postMessage({ number, error: error.message });
  }
});
postMessage("ready");
