// Names of codecs as WebCodecs takes them (RFC 6381 and the codecs' own registrations), from their configuration records.

const hex = (value) => value.toString(16).padStart(2, "0").toUpperCase();
const two = (value) => String(value).padStart(2, "0");

/** From an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3). */
export function avcCodec(record) {
  return `avc1.${hex(record.getUint8(1))}${hex(record.getUint8(2))}${hex(record.getUint8(3))}`;
}

/** From an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, annex E); `entry` is hvc1 or hev1. */
export function hevcCodec(record, entry = "hvc1") {
  const first = record.getUint8(1);
  const space = ["", "A", "B", "C"][first >> 6];
  const tier = first & 0x20 ? "H" : "L";
  let compatible = 0;
  for (let bit = 0; bit < 32; bit += 1) {
    if ((record.getUint32(2) >>> bit) & 1) compatible |= 1 << (31 - bit);
  }
  const constraints = Array.from({ length: 6 }, (_, k) => record.getUint8(6 + k));
  while (constraints.length && constraints.at(-1) === 0) constraints.pop();
  const name = [entry, `${space}${first & 0x1f}`, (compatible >>> 0).toString(16), `${tier}${record.getUint8(12)}`];
  return [...name, ...constraints.map((byte) => byte.toString(16))].join(".");
}

/** From an AV1CodecConfigurationRecord. */
export function av1Codec(record) {
  const [profile, flags] = [record.getUint8(1), record.getUint8(2)];
  const depth = flags & 0x20 ? 12 : flags & 0x40 ? 10 : 8;
  return `av01.${profile >> 5}.${two(profile & 0x1f)}${flags & 0x80 ? "H" : "M"}.${two(depth)}`;
}

/** From a VPCodecConfigurationRecord, behind a version and flags. */
export function vp9Codec(record) {
  return `vp09.${two(record.getUint8(4))}.${two(record.getUint8(5))}.${two(record.getUint8(6) >> 4)}`;
}
