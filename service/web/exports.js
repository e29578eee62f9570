// The result as the files that other tools read. Pure: a result goes in, text comes out.
//
// A result is {name, size: {width, height}, count, time(index), record}. Boxes are [x, y, w, h] in frame pixels from the
// frame's top-left corner; frames count from 0, but where a format says otherwise.

const round = (value) => Math.round(value * 100) / 100;

/** By format: what the file is called behind the clip's name, its type, and its text. */
export const FORMATS = {
  csv: { ending: ".csv", type: "text/csv", text: csv },
  jsonl: { ending: ".jsonl", type: "application/x-ndjson", text: jsonLines },
  mot: { ending: ".mot.txt", type: "text/plain", text: mot },
  cvat: { ending: ".cvat.xml", type: "application/xml", text: cvat },
  coco: { ending: ".coco.json", type: "application/json", text: coco },
};

/** One row a frame and target. */
function csv(result) {
  const rows = [["frame", "time_s", "id", "name", "x", "y", "w", "h", "score", "status"]];
  for (const { frame, targets } of framesOf(result)) {
    for (const { id, name, box, score, status } of targets) {
      rows.push([frame, result.time(frame).toFixed(3), id, quoted(name), ...box.map(round), score ?? "", status]);
    }
  }
  return rows.map((row) => `${row.join(",")}\r\n`).join("");
}

/** One object a frame, as `siamfc track --json` writes them, with names. */
function jsonLines(result) {
  const lines = [];
  for (const { frame, targets } of framesOf(result)) {
    const fields = targets.map(({ id, name, box, score, status }) => ({
      id,
      name,
      box,
      score: score ?? 1,
      status: status === "given" ? "tracking" : status,
    }));
    lines.push(JSON.stringify({ frame_index: frame, targets: fields }));
  }
  return `${lines.join("\n")}\n`;
}

/** MOTChallenge's results: frames and targets count from 1; the frames in which a target is lost are left out. */
function mot(result) {
  const numbers = numbersOf(result);
  const lines = [];
  for (const { frame, targets } of framesOf(result)) {
    for (const { id, box, score, status } of targets) {
      if (status === "lost") continue;
      lines.push([frame + 1, numbers.get(id), ...box.map(round), score ?? 1, -1, -1, -1].join(","));
    }
  }
  return `${lines.join("\n")}\n`;
}

/** CVAT for video 1.1: one track a target, outside where it is lost or its track is over. */
function cvat(result) {
  const { record, count, size, name } = result;
  const labels = [...new Set(record.targets.map((target) => target.name))];
  const label = (text) => `<label><name>${escaped(text)}</name><type>rectangle</type><attributes/></label>`;
  const tracks = record.targets.map((target, number) => cvatTrack(target, number, result));
  return [
    '<?xml version="1.0" encoding="utf-8"?>',
    "<annotations>",
    "<version>1.1</version>",
    `<meta><task><name>${escaped(name)}</name><size>${count}</size><mode>interpolation</mode>`,
    `<start_frame>0</start_frame><stop_frame>${count - 1}</stop_frame><labels>${labels.map(label).join("")}</labels>`,
    `<original_size><width>${size.width}</width><height>${size.height}</height></original_size></task></meta>`,
    ...tracks,
    "</annotations>",
    "",
  ].join("\n");
}

function cvatTrack({ id, name }, number, { record, count }) {
  const boxes = [];
  let last = null;
  for (let frame = 0; frame < count; frame += 1) {
    const place = record.shown(frame).find((target) => target.id === id);
    if (place) boxes.push(cvatBox(frame, place.box, place.status === "lost"));
    else if (last) boxes.push(cvatBox(frame, last.box, true));
    if (!place && last) break;
    last = place ?? last;
  }
  return `<track id="${number}" label="${escaped(name)}" source="semi-auto">\n${boxes.join("\n")}\n</track>`;
}

function cvatBox(frame, [x, y, w, h], outside) {
  const corners = `xtl="${round(x)}" ytl="${round(y)}" xbr="${round(x + w)}" ybr="${round(y + h)}"`;
  return `<box frame="${frame}" keyframe="1" outside="${Number(outside)}" occluded="0" ${corners} z_order="0"></box>`;
}

/** COCO's object detection: an image a frame, a category a name; lost ones are left out. */
function coco(result) {
  const { record, size, count } = result;
  const names = [...new Set(record.targets.map((target) => target.name))];
  const numbers = numbersOf(result);
  const images = Array.from({ length: count }, (_, frame) => ({
    id: frame + 1,
    file_name: `frame_${String(frame).padStart(6, "0")}.jpg`,
    ...size,
  }));
  const annotations = [];
  for (const { frame, targets } of framesOf(result)) {
    for (const { id, name, box, score, status } of targets) {
      if (status === "lost") continue;
      const [, , w, h] = box;
      annotations.push({
        id: annotations.length + 1,
        image_id: frame + 1,
        category_id: names.indexOf(name) + 1,
        bbox: box.map(round),
        area: round(w * h),
        iscrowd: 0,
        score: score ?? 1,
        attributes: { track_id: numbers.get(id), status },
      });
    }
  }
  const categories = names.map((name, place) => ({ id: place + 1, name, supercategory: "" }));
  return `${JSON.stringify({ info: { description: result.name }, licenses: [], images, annotations, categories })}\n`;
}

function* framesOf({ record, count }) {
  for (let frame = 0; frame < count; frame += 1) {
    const targets = record.shown(frame);
    if (targets.length) yield { frame, targets };
  }
}

/** Targets' numbers from 1, in the order in which they were added. */
function numbersOf({ record }) {
  return new Map(record.targets.map((target, place) => [target.id, place + 1]));
}

function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
