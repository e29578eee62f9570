// The boxes that an MP4 or QuickTime file consists of (ISO/IEC 14496-12, 4.2).

const NAME = /^[\w\-\xa9 ]{4}$/;

/** The boxes of a file, one after another: {type, offset, read() → a view of its content}. Ends where none follows. */
export async function* boxesOfFile(file) {
  let offset = 0;
  while (offset + 8 <= file.size) {
    const head = new DataView(await file.slice(offset, offset + 16).arrayBuffer());
    const type = text(head, 4);
    const short = head.getUint32(0);
    const header = short === 1 ? 16 : 8;
    const size = short === 1 ? Number(head.getBigUint64(8)) : short || file.size - offset;
    if (!NAME.test(type) || size < header) return;
    const [start, end] = [offset + header, offset + size];
    yield { type, offset, read: async () => new DataView(await file.slice(start, end).arrayBuffer()) };
    offset = end;
  }
}

/** The boxes in a view, from `start` on: {type, body}. */
export function* boxesOf(view, start = 0) {
  let offset = start;
  while (offset + 8 <= view.byteLength) {
    const size = view.getUint32(offset);
    const end = size === 0 ? view.byteLength : offset + size;
    if (size === 1 || end < offset + 8 || end > view.byteLength) return;
    yield { type: text(view, offset + 4), body: part(view, offset + 8, end) };
    offset = end;
  }
}

/** A view of some bytes of another. */
export function part(view, start, end) {
  return new DataView(view.buffer, view.byteOffset + start, end - start);
}

/** Four letters. */
export function text(view, offset) {
  return String.fromCharCode(...[0, 1, 2, 3].map((k) => view.getUint8(offset + k)));
}
