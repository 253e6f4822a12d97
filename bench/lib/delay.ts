/** Resolves after so many ms. */
export function delay(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}
