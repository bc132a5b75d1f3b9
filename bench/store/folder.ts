import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { median } from './median.ts'

const TMPFS = 0x01021994
const RAMFS = 0x858458f6

/** Makes the folder in which everything is measured. Not in the system's folder for temporary files: that may be in memory. */
export function makeFolder (root: string): string {
  return mkdtempSync(join(root, '.bench-store-'))
}

export function removeFolder (dir: string): void {
  // A child that was killed may be about to write its last.
  rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
}

/** Does one run in a folder of its own, gone afterwards: what it has not written to the disk by then, no later run has to wait for. */
export async function inRunFolder<T> (dir: string, run: (runDir: string) => Promise<T>): Promise<T> {
  const runDir = await mkdtemp(join(dir, 'run-'))
  const result = await run(runDir)
  await rm(runDir, { recursive: true })
  return result
}

export function isInMemory (dir: string): boolean {
  return [TMPFS, RAMFS].includes(statfsSync(dir).type)
}

/** What making a small write durable costs here: the median of many, in milliseconds. */
export async function measureSync (dir: string): Promise<number> {
  const file = await open(join(dir, 'sync'), 'w')
  const times: number[] = []
  for (let index = 0; index < 200; index++) {
    await file.write('x'.repeat(180))
    const startedAt = performance.now()
    await file.datasync()
    times.push(performance.now() - startedAt)
  }
  await file.close()
  return median(times)
}
