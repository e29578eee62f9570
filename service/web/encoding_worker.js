// Encodes pictures off the page's thread. Says "ready", then answers {number, bitmap} with {number, jpeg or error}.

import { jpegOf } from "./jpeg.js";

addEventListener("message", async ({ data: { number, bitmap } }) => {
  try {
    const jpeg = await jpegOf(bitmap);
    postMessage({ number, jpeg }, [jpeg]);
  } catch (error) {
    postMessage({ number, error: error.message });
  }
});
postMessage("ready");
