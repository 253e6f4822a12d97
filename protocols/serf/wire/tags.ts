/**
 * Tags in the metadata of a member: 0xff and a msgpack map of texts. Metadata
 * without that first byte is the name of a role, as the first Serfs wrote it.
 */
import { utf8Length } from "../../utf8.ts";
import { looseUtf8, SerfReader, SerfWriter } from "./pack.ts";

/** Texts by name that a member says of itself. */
export type Tags = Readonly<Record<string, string>>;

/** What a member's metadata can hold, in bytes. */
export const maxTagBytes = 512;

const magic = 0xff;

/**
 * Metadata that holds the tags, sorted by name so that equal tags are equal bytes.
 * @throws {RangeError} if it would have more than {@linkcode maxTagBytes} bytes.
 */
export function encodeTags(tags: Tags): Uint8Array<ArrayBuffer> {
  const names = Object.keys(tags).sort();
  const writer = new SerfWriter().byte(magic).entries(names.length);
  for (const name of names) writer.text(name).text(tags[name]!);
  if (writer.at > maxTagBytes) {
    const longest = names.reduce((a, b) => utf8Length(tags[a]!) >= utf8Length(tags[b]!) ? a : b);
    throw new RangeError(
      `the tags take ${writer.at} bytes, at most ${maxTagBytes} fit: shorten "${longest}"`,
    );
  }
  return writer.copy();
}

/**
 * The tags in metadata; malformed metadata has as many as could be read. The object
 * has no prototype: names come from the network.
 */
export function decodeTags(meta: Uint8Array): Tags {
  const tags: Record<string, string> = Object.create(null);
  if (meta.length === 0) return tags;
  if (meta[0] !== magic) {
    tags.role = looseUtf8(meta.subarray(0, maxTagBytes));
    return tags;
  }
  const reader = new SerfReader();
  reader.reset(meta, 1);
  try {
    for (let left = reader.entries(maxTagBytes); left > 0; left--) {
      const name = reader.looseText(maxTagBytes);
      tags[name] = reader.looseText(maxTagBytes);
    }
  } catch {
    // What could be read stands: a member with odd tags is a member all the same.
  }
  return tags;
}
