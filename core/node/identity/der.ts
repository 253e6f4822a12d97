/**
 * Reads two extensions of a certificate straight from its DER (X.690, RFC 5280):
 * the URIs of the subject alternative name, and the basic constraints.
 *
 * `X509Certificate.subjectAltName` joins the names with commas, so a DNS name
 * that contains ", URI:spiffe://…" would read as a URI of its own. Who a node is
 * hangs on these bytes; therefore they are read as they stand.
 */

/** What the extensions of interest say. */
export interface CertificateExtensions {
  /** The URIs among the subject alternative names, in order. */
  readonly uris: readonly string[];
  /** Whether it may sign certificates. */
  readonly authority: boolean;
  /** How many intermediates may stand below it; undefined for any number. */
  readonly pathLength: number | undefined;
}

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
}

const sequence = 0x30;
const boolean = 0x01;
const integer = 0x02;
const octetString = 0x04;
const objectId = 0x06;
/** The explicit [3] that holds the extensions in a TBSCertificate. */
const extensionsTag = 0xa3;
/** uniformResourceIdentifier, the implicit [6] of GeneralName. */
const uriTag = 0x86;
/** 2.5.29.17, subjectAltName. */
const subjectAltName = "551d11";
/** 2.5.29.19, basicConstraints. */
const basicConstraints = "551d13";

/** Reads the extensions of a DER certificate; undefined if it is not built as it should be. */
export function readExtensions(der: Uint8Array): CertificateExtensions | undefined {
  try {
    const certificate = elements(single(der, sequence));
    const body = elements(expect(certificate[0], sequence));
    // The algorithm stands twice, once unsigned; the two must agree (RFC 5280, section 4.1.1.2).
    const signed = expect(body.find(({ tag }) => tag === sequence), sequence);
    if (signed.toHex() !== expect(certificate[1], sequence).toHex()) return undefined;
    const wrapped = body.find(({ tag }) => tag === extensionsTag);
    const uris: string[] = [];
    let authority = false;
    let pathLength: number | undefined;
    for (const extension of wrapped ? elements(single(wrapped.content, sequence)) : []) {
      const parts = elements(expect(extension, sequence));
      const id = expect(parts[0], objectId).toHex();
      const value = expect(parts.at(-1), octetString);
      if (id === subjectAltName) {
        for (const name of elements(single(value, sequence))) {
          if (name.tag === uriTag) uris.push(String.fromCharCode(...name.content));
        }
      } else if (id === basicConstraints) {
        for (const { tag, content } of elements(single(value, sequence))) {
          if (tag === boolean) authority = content[0] !== 0;
          // More than a byte of intermediates is as good as no limit.
          if (tag === integer && content.length === 1) pathLength = content[0];
        }
      }
    }
    return { uris, authority, pathLength };
  } catch {
    return undefined;
  }
}

/** The content of the only element in `der`. */
function single(der: Uint8Array, tag: number): Uint8Array {
  const all = elements(der);
  if (all.length !== 1) throw new RangeError("one element expected");
  return expect(all[0], tag);
}

function expect(element: Element | undefined, tag: number): Uint8Array {
  if (element?.tag !== tag) throw new RangeError("unexpected tag");
  return element.content;
}

/** Splits a run of elements. Certificates use neither long tags nor indefinite lengths. */
function elements(der: Uint8Array): Element[] {
  const found: Element[] = [];
  let at = 0;
  while (at < der.length) {
    const tag = der[at]!;
    let length = der[at + 1] ?? NaN;
    at += 2;
    if (length >= 0x80) {
      const width = length & 0x7f;
      if (width === 0 || width > 3) throw new RangeError("unsupported length");
      length = 0;
      for (let i = 0; i < width; i++) length = length * 256 + (der[at++] ?? NaN);
    }
    if (!(at + length <= der.length)) throw new RangeError("truncated");
    found.push({ tag, content: der.subarray(at, at + length) });
    at += length;
  }
  return found;
}
