import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { runAndKill, runJob } from '../children.ts'
import { inRunFolder } from '../folder.ts'
import { median } from '../median.ts'
import { formatMs, formatNumber, printTable, type Aim, type Bench } from '../report.ts'

const UPDATES = 4000
/** From the last counted update to the kill: whatever the store does behind the updates may be under way. */
const KILL_AFTER_MS = 150

/** Time to be back after a kill in the middle of the load. */
export async function timeRestart ({ plan, dir }: Bench): Promise<Aim[]> {
  const rows: string[][] = []
  const times: number[] = []
  for (let round = 0; round < Math.max(plan.rounds, 3); round++) {
    const { beside, ms, sinceStartMs, rows: loaded } = await inRunFolder(dir, async runDir => {
      await runAndKill('fill', { dir: runDir, creates: plan.sessions, updates: UPDATES, writers: plan.writers }, KILL_AFTER_MS)
      return { beside: await weighBeside(runDir), ...await runJob('load', { dir: runDir }) }
    })
    if (loaded !== plan.sessions) throw new Error(`Of ${plan.sessions} acknowledged sessions ${loaded} were there after the kill`)
    times.push(ms)
    rows.push([String(round + 1), formatNumber(loaded), formatMs(ms), formatMs(sinceStartMs), `${formatNumber(beside / 1024)} KiB`])
  }
  printTable('F. Start after kill -9 under load', ['round', 'sessions', 'open()', 'start of process to open', 'beside the file'], rows)
  return [{ what: 'F. open() after kill -9, median', value: median(times) / 1000, unit: ' s', bound: { atMost: 1 } }]
}

/** The bytes of what stands beside the session file: journals, and what a rewrite had begun. */
async function weighBeside (dir: string): Promise<number> {
  const names = (await readdir(dir)).filter(name => name !== 'sessions.csv')
  const stats = await Promise.all(names.map(name => stat(join(dir, name))))
  return stats.reduce((sum, { size }) => sum + size, 0)
}
