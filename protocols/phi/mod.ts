/**
 * The phi accrual failure detector.
 * @module
 */
export { PhiAccrualDetector, type PhiOptions } from "./phi.ts";
