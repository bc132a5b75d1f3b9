import { parentPort, workerData } from 'node:worker_threads'
import type { Static } from '@sinclair/typebox'
import type { Verdict } from './file-check.ts'
import { readWhole } from './whole-file.ts'

// The thread of `checkFile`. An error loses its code on the way between threads, so it travels as fields.
parentPort?.postMessage(judge(String(workerData)))

function judge (path: string): Static<typeof Verdict> {
  try {
    readWhole(path)
    return null
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? { code: String(error.code) } : {}
    return { ...code, message: error instanceof Error ? error.message : String(error) }
  }
}
