import { createReadStream } from 'node:fs'
import { parse } from 'fast-csv'
import { createStore } from '../peers/holdline.ts'
import { getSessionsPath } from '../workload.ts'

/** How long it took to have all rows. */
export interface Load {
  readonly ms: number
  /** With the start of the process before it. */
  readonly sinceStartMs: number
  readonly rows: number
}

/** The service's way: rows checked, indexed, ready to serve. */
export async function loadStore ({ dir }: { readonly dir: string }): Promise<Load> {
  const store = createStore(dir)
  const startedAt = performance.now()
  const { loaded } = await store.open()
  const endedAt = performance.now()
  await store.close()
  return { ms: endedAt - startedAt, sinceStartMs: endedAt, rows: loaded }
}

/** The least that reading the file with fast-csv takes: rows counted and dropped. */
export async function parseFile ({ dir }: { readonly dir: string }): Promise<Load> {
  const startedAt = performance.now()
  let rows = -1 // The header is none.
  await new Promise((resolve, reject) => {
    createReadStream(getSessionsPath(dir))
      .on('error', reject)
      .pipe(parse({ headers: false }))
      .on('error', reject)
      .on('data', () => { rows++ })
      .on('end', resolve)
  })
  const endedAt = performance.now()
  return { ms: endedAt - startedAt, sinceStartMs: endedAt, rows }
}
