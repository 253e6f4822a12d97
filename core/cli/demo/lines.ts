/** Text from bytes, line by line, with a bound on the length of a line. */

/** Splits at line feeds; a line longer than the bound is cut there and its rest dropped. */
export class TextLineStream extends TransformStream<Uint8Array<ArrayBuffer>, string> {
  /** @param maxLength in characters. Default 1 MiB. */
  constructor(maxLength = 1 << 20) {
    const decoder = new TextDecoder();
    let line = "";
    const add = (text: string) => {
      if (line.length < maxLength) line += text.slice(0, maxLength - line.length);
    };
    super({
      transform(bytes, controller) {
        const parts = decoder.decode(bytes, { stream: true }).split("\n");
        for (let i = 0; i < parts.length; i++) {
          if (i > 0) {
            controller.enqueue(line);
            line = "";
          }
          add(parts[i]);
        }
      },
      flush(controller) {
        add(decoder.decode());
        if (line !== "") controller.enqueue(line);
      },
    });
  }
}
