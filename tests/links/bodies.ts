/** Bodies that can be told apart when they arrive. */
const utf8 = new TextEncoder();

/** The text of bytes. */
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** What compresses well, beginning with its name. */
export const words = (name: string, length: number): Uint8Array<ArrayBuffer> =>
  utf8.encode(`${name}: ${"spore ".repeat(length)}`.slice(0, length));

/** What does not. */
export function noise(name: string, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = length | 1;
  for (let at = 0; at < length; at++) {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    bytes[at] = state >>> 24;
  }
  bytes.set(utf8.encode(`${name}:`));
  return bytes;
}

/** With which name a body begins. */
export const nameOf = (bytes: Uint8Array): string => {
  const name = text(bytes.subarray(0, 40));
  return name.slice(0, name.indexOf(":"));
};
