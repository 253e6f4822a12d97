import assert from "node:assert/strict";
import fc from "fast-check";
import { PhiAccrualDetector } from "./phi.ts";

/** A detector whose window holds nothing but `intervalMs`, last heard at 0. */
function steady(intervalMs: number, deviationMs: number, pauseMs = 0): PhiAccrualDetector {
  const detector = new PhiAccrualDetector({
    window: 10,
    minDeviationMs: deviationMs,
    acceptablePauseMs: pauseMs,
  });
  for (let i = -10; i <= 0; i++) detector.heard(i * intervalMs);
  return detector;
}

// Upper tails of the standard normal distribution, from mpmath's erfc at 50 digits.
const tails: readonly (readonly [z: number, phi: number])[] = [
  [-8, 2.7017288495439214e-16],
  [-3, 0.0005866493137900667],
  [-1, 0.07502601295781802],
  [-0.5, 0.16023139227784902],
  [0, 0.3010299956639812],
  [0.1, 0.3370796567266235],
  [0.5, 0.5106919892652407],
  [1, 0.7995455414919705],
  [1.5, 1.1751767216148163],
  [1.99, 1.6327285649197116],
  [2, 1.643016080140937],
  [2.01, 1.6533420617178147],
  [2.5, 2.206931805795301],
  [3, 2.869699035929369],
  [4, 4.499334907556479],
  [5, 6.5426456723906545],
  [6, 9.005864327476704],
  [8, 15.206142551017155],
  [10, 23.118053405486076],
  [20, 88.56009534307559],
  [30, 197.30920926166095],
];

Deno.test("phi is -log10 of the normal tail", () => {
  const detector = steady(1000, 100);
  for (const [z, phi] of tails) {
    const got = detector.phi(1000 + z * 100);
    assert.ok(Math.abs(got - phi) <= 1e-9 * Math.max(1, phi), `z ${z}: ${got}, not ${phi}`);
  }
});

Deno.test("phi grows with silence, is never negative and never infinite", () => {
  const detector = steady(1000, 100);
  let before = -1;
  for (let now = 0; now < 20_000; now += 37) {
    const phi = detector.phi(now);
    assert.ok(phi >= 0 && phi >= before && Number.isFinite(phi), `${now}: ${phi}`);
    before = phi;
  }
  assert.ok(Number.isFinite(detector.phi(1e12)));
});

Deno.test("an acceptable pause moves the whole curve by its length", () => {
  const plain = steady(1000, 100);
  const patient = steady(1000, 100, 3000);
  for (const now of [500, 1000, 1200, 1500, 4000]) {
    assert.equal(patient.phi(now + 3000), plain.phi(now));
  }
});

Deno.test("a peer not heard of yet is not suspected", () => {
  assert.equal(new PhiAccrualDetector().phi(1e9), 0);
});

Deno.test("before there are intervals the expected one stands in", () => {
  const detector = new PhiAccrualDetector({ firstIntervalMs: 1000 });
  detector.heard(0);
  assert.equal(detector.meanMs, 1000);
  assert.equal(detector.deviationMs, 250);
  assert.ok(detector.phi(1000) < 0.31);
  assert.ok(detector.phi(3000) > 8);
});

Deno.test("a pause of our own is not held against the peer", () => {
  const detector = steady(1000, 100);
  const usual = detector.phi(1100);
  detector.excuse(60_000);
  assert.equal(detector.phi(61_100), usual);
  detector.heard(61_200);
  assert.ok(detector.meanMs < 1100, "the pause is not an interval");
});

Deno.test("an irregular peer is given more time than a regular one", () => {
  const regular = new PhiAccrualDetector({ window: 50, minDeviationMs: 10 });
  const irregular = new PhiAccrualDetector({ window: 50, minDeviationMs: 10 });
  let now = 0;
  for (let i = 0; i < 100; i++) {
    regular.heard(i * 1000);
    irregular.heard(now);
    now += i % 2 === 0 ? 500 : 1500;
  }
  assert.ok(regular.phi(99_000 + 2000) > irregular.phi(irregular.lastHeardMs! + 2000) * 3);
});

Deno.test("mean and deviation are those of the last intervals, however many there were", () => {
  fc.assert(fc.property(
    fc.array(fc.double({ min: 0.001, max: 1e6, noNaN: true }), { minLength: 20, maxLength: 200 }),
    (intervals) => {
      const detector = new PhiAccrualDetector({ window: 16, minDeviationMs: 1e-9 });
      let now = 0;
      detector.heard(now);
      const times = [0, ...intervals.map((interval) => now += interval)];
      for (const time of times.slice(1)) detector.heard(time);
      const last = times.slice(-17).map((time, i, all) => i === 0 ? 0 : time - all[i - 1]!).slice(
        1,
      );
      const mean = last.reduce((a, b) => a + b) / 16;
      const deviation = Math.sqrt(last.reduce((a, b) => a + (b - mean) ** 2, 0) / 16);
      assert.ok(Math.abs(detector.meanMs - mean) <= 1e-6 * mean);
      assert.ok(Math.abs(detector.deviationMs - deviation) <= 1e-3 * mean);
    },
  ));
});

Deno.test("a clock that goes back harms nothing", () => {
  const detector = steady(1000, 100);
  const { meanMs } = detector;
  detector.heard(-5000);
  assert.equal(detector.meanMs, meanMs);
  assert.equal(detector.lastHeardMs, 0);
  assert.equal(detector.phi(-1e9), detector.phi(-1e9));
  assert.ok(detector.phi(-1e9) >= 0);
});

Deno.test("an option out of range is refused by name", () => {
  assert.throws(() => new PhiAccrualDetector({ window: 1 }), /window must be .* 2 to 10000, not 1/);
  assert.throws(() => new PhiAccrualDetector({ minDeviationMs: 0 }), /minDeviationMs/);
  assert.throws(() => new PhiAccrualDetector({ firstIntervalMs: NaN }), /firstIntervalMs/);
  assert.throws(() => new PhiAccrualDetector({ acceptablePauseMs: -1 }), /acceptablePauseMs/);
});
