/** Collects all garbage now: that of preparing is not the measured code's. */
export function collectGarbage (): void {
  if (globalThis.gc === undefined) throw new Error('Measuring needs node --expose-gc')
  globalThis.gc()
}
