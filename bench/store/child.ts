import type { FillOptions } from './jobs/fill.ts'
import type { MemoryOptions } from './jobs/memory.ts'
import type { StallsOptions } from './jobs/stalls.ts'
import type { WritesOptions } from './jobs/writes.ts'

// What is measured runs here, each time in a process of its own: no heap and no compiled code of another.

const jobs = {
  writes: async (options: WritesOptions) => await (await import('./jobs/writes.ts')).measureWrites(options),
  load: async (options: { dir: string }) => await (await import('./jobs/load.ts')).loadStore(options),
  parse: async (options: { dir: string }) => await (await import('./jobs/load.ts')).parseFile(options),
  stalls: async (options: StallsOptions) => await (await import('./jobs/stalls.ts')).measureStalls(options),
  memory: async (options: MemoryOptions) => await (await import('./jobs/memory.ts')).measureMemory(options),
  fill: async (options: FillOptions) => await (await import('./jobs/fill.ts')).fillStore(options)
}

/** What a child process can do, by name. */
export type Jobs = typeof jobs

function isJob (name: string): name is keyof Jobs {
  return Object.hasOwn(jobs, name)
}

// Whoever asked has the answer, or is gone.
process.once('disconnect', () => { process.exit() })

const [name = '', options = ''] = process.argv.slice(2)
if (!isJob(name)) throw new Error(`There is no job ${JSON.stringify(name)}`)
process.send?.(await jobs[name](JSON.parse(options)))
