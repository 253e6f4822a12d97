import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { checkChain, maxChainLength } from "./chain.ts";
import { readExtensions } from "./der.ts";
import { generatePrivateKey, importKeyPair, keyAlgorithm } from "./keys.ts";

const now = Date.UTC(2030, 0, 1);
const day = 86_400_000;
const nodeUri = "spiffe://test/sclerotia/node-1";

interface Issued {
  readonly certificate: x509.X509Certificate;
  readonly keys: CryptoKeyPair;
}

interface Request {
  readonly name?: string;
  readonly issuer?: Issued;
  readonly authority?: { readonly pathLength?: number };
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly from?: number;
  readonly until?: number;
}

async function issue(request: Request): Promise<Issued> {
  const { name = "someone", issuer, authority, uris = [], dns = [] } = request;
  const keys = await importKeyPair(generatePrivateKey());
  const names = [
    ...uris.map((value) => ({ type: "url", value }) as const),
    ...dns.map((value) => ({ type: "dns", value }) as const),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: "01",
    subject: `CN=${name}`,
    issuer: issuer?.certificate.subject ?? `CN=${name}`,
    notBefore: new Date(request.from ?? now - day),
    notAfter: new Date(request.until ?? now + day),
    publicKey: keys.publicKey,
    signingKey: issuer?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm: keyAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(authority !== undefined, authority?.pathLength, true),
      ...names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)],
    ],
  });
  return { certificate, keys };
}

const der = ({ certificate }: Issued) => new Uint8Array(certificate.rawData);
const trusted = (...roots: Issued[]) => roots.map((it) => new X509Certificate(der(it)));
const root = await issue({ name: "root", authority: { pathLength: 1 } });
const leaf = await issue({ name: "node", issuer: root, uris: [nodeUri] });

function reason(chain: readonly Issued[], roots: readonly Issued[] = [root], at = now): string {
  const verdict = checkChain(chain.map(der), trusted(...roots), at);
  assert.equal(verdict.ok, false);
  return (verdict as { readonly reason: string }).reason;
}

function principalOf(chain: readonly Issued[], roots: readonly Issued[] = [root]) {
  const verdict = checkChain(chain.map(der), trusted(...roots), now);
  assert.ok(verdict.ok, verdict.ok ? "" : verdict.reason);
  return verdict;
}

Deno.test("a node's certificate names it, with or without the root beside it", () => {
  const expected = { cluster: "test", type: "sclerotia", id: "node-1" };
  assert.deepEqual(principalOf([leaf]).principal, expected);
  assert.deepEqual(principalOf([leaf, root]).principal, expected);
  assert.equal(principalOf([leaf]).expiresAt, now + day);
});

Deno.test("any of several authorities will do", async () => {
  const next = await issue({ name: "next root", authority: {} });
  assert.equal(principalOf([leaf], [next, root]).principal.id, "node-1");
});

Deno.test("an intermediate authority is followed, and its end is the chain's", async () => {
  const middle = await issue({
    name: "middle",
    issuer: root,
    authority: { pathLength: 0 },
    until: now + 1000,
  });
  const below = await issue({ issuer: middle, uris: [nodeUri] });
  assert.equal(principalOf([below, middle]).expiresAt, now + 1000);
  assert.match(reason([below, middle], [root], now + 2000), /expired/);
  assert.match(reason([below]), /foreign authority \("CN=middle"\)/);
});

Deno.test("an intermediate authority makes no further one against its path length", async () => {
  const middle = await issue({ name: "middle", issuer: root, authority: { pathLength: 0 } });
  const deeper = await issue({ name: "deeper", issuer: middle, authority: {} });
  const below = await issue({ issuer: deeper, uris: [nodeUri] });
  assert.match(reason([below, deeper, middle]), /foreign authority/);
});

Deno.test("a node signs for nobody", async () => {
  const forged = await issue({ issuer: leaf, uris: ["spiffe://test/sclerotia/node-2"] });
  assert.match(reason([forged, leaf]), /foreign authority/);
});

Deno.test("the name of an authority without its signature counts for nothing", async () => {
  const impostor = await issue({ name: "root", authority: {} });
  const forged = await issue({ issuer: impostor, uris: [nodeUri] });
  assert.match(reason([forged]), /foreign authority/);
  assert.match(reason([forged, impostor]), /foreign authority/);
});

Deno.test("trust comes before dates, so nothing is said of a foreign certificate's", async () => {
  const impostor = await issue({ name: "root", authority: {} });
  const forged = await issue({ issuer: impostor, uris: [nodeUri], until: now - 1 });
  assert.match(reason([forged]), /foreign authority/);
});

Deno.test("dates are those of the whole path, to the second", () => {
  assert.match(reason([leaf], [root], now + day + 1), /it has expired: valid until 2030-01-02T00/);
  assert.match(reason([leaf], [root], now - day - 1), /not valid yet: valid from 2029-12-31T00/);
  assert.ok(checkChain([der(leaf)], trusted(root), now + day).ok);
  assert.ok(checkChain([der(leaf)], trusted(root), now - day).ok);
});

Deno.test("a certificate names exactly one node, by URI, in our form", async () => {
  const wrong: Request[] = [
    {},
    { dns: ["node-1"] },
    { uris: [nodeUri, "spiffe://test/sclerotia/node-2"] },
    { uris: [nodeUri, nodeUri] },
    { uris: ["spiffe://test/king/node-1"] },
    { uris: ["spiffe://test/sclerotia/node-1/more"] },
    { uris: ["https://test/sclerotia/node-1"] },
    // Joined with commas, this would read as a URI of its own.
    { dns: ["x, URI:spiffe://test/sclerotia/node-1"] },
  ];
  for (const request of wrong) {
    const odd = await issue({ ...request, issuer: root });
    assert.match(reason([odd]), /not a node's certificate/, JSON.stringify(request));
  }
});

Deno.test("an authority is no node, whatever it calls itself", async () => {
  const named = await issue({ name: "root", authority: {}, uris: [nodeUri] });
  assert.match(reason([named], [named]), /an authority's certificate/);
});

Deno.test("no chain, a long chain and garbage each have their reason", () => {
  assert.match(reason([]), /no certificate was presented/);
  assert.match(reason(Array(maxChainLength + 2).fill(leaf)), /more than 4 certificates/);
  assert.deepEqual(checkChain([new Uint8Array([1, 2, 3])], trusted(root), now), {
    ok: false,
    reason: "the certificate cannot be read",
  });
});

Deno.test("a certificate with any byte changed is nobody's, and nothing throws", () => {
  const good = der(leaf);
  fc.assert(
    fc.property(
      fc.nat({ max: good.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      (at, change) => {
        const bad = good.slice();
        bad[at] = bad[at]! ^ change;
        assert.equal(checkChain([bad], trusted(root), now).ok, false);
        readExtensions(bad);
        readExtensions(bad.subarray(0, at));
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("extensions are read as the library wrote them", async () => {
  const middle = await issue({ issuer: root, authority: { pathLength: 0 } });
  assert.deepEqual(readExtensions(der(root)), { uris: [], authority: true, pathLength: 1 });
  assert.deepEqual(readExtensions(der(middle)), { uris: [], authority: true, pathLength: 0 });
  assert.deepEqual(readExtensions(der(leaf)), {
    uris: [nodeUri],
    authority: false,
    pathLength: undefined,
  });
  assert.equal(readExtensions(new Uint8Array([0x30, 0x80])), undefined);
});
