import { runJob } from '../children.ts'
import { inRunFolder } from '../folder.ts'
import type { StallsOf, StallsOptions } from '../jobs/stalls.ts'
import { countFewRounds } from '../plan.ts'
import { formatNumber, formatRounds, printTable, type Aim, type Bench } from '../report.ts'
import { getSessionsPath, makeSessions, writeSessionsFile } from '../workload.ts'

const PAUSE_MS = 2

const WORKS: ReadonlyArray<readonly [string, StallsOptions['work']]> = [
  ['idle process', 'nothing'],
  ['rewriting behind updates', 'updates'],
  ['sweep', 'sweep'],
  ['load', 'load']
]

/** How long the event loop stands still while the store is at work. */
export async function watchStalls ({ plan, dir }: Bench): Promise<Aim[]> {
  const { manySessions, watchMs } = plan
  const rounds = countFewRounds(plan)
  const rows: string[][] = []
  const aims: Aim[] = []
  for (const [name, work] of WORKS) {
    const measured: StallsOf[] = []
    for (let round = 0; round < rounds; round++) {
      measured.push(await inRunFolder(dir, async runDir => {
        await writeSessionsFile(getSessionsPath(runDir), makeSessions(manySessions))
        return await runJob('stalls', { work, dir: runDir, sessions: manySessions, durationMs: watchMs, pauseMs: PAUSE_MS })
      }))
    }
    const middle = findMiddle(measured)
    rows.push([name, ...describe(middle, Math.max(...measured.map(({ longestMs }) => longestMs)))])
    if (work !== 'nothing') aims.push({ what: `D. event loop, p99.9: ${name}`, value: middle.p999Ms, unit: ' ms', bound: { atMost: 10 } })
  }
  const head = ['', 'p50 ms', 'p99.9 ms', 'longest ms', 'of all rounds', 'over 10 ms', 'longest GC ms', 'all GC ms', 'done']
  printTable(`D. Event loop at ${formatNumber(manySessions)} sessions, the 1 ms between two looks included: ${formatRounds(rounds)}`, head, rows)
  return aims
}

/** The median round, as a whole. */
function findMiddle (measured: readonly StallsOf[]): StallsOf {
  const middle = [...measured].sort((a, b) => a.p999Ms - b.p999Ms)[Math.floor(measured.length / 2)]
  if (middle === undefined) throw new Error('Nothing was measured')
  return middle
}

function describe ({ p50Ms, p999Ms, longestMs, over10Ms, longestGcMs, allGcMs, done }: StallsOf, longestOfAllMs: number): string[] {
  return [...[p50Ms, p999Ms, longestMs, longestOfAllMs, over10Ms, longestGcMs, allGcMs].map(formatNumber), done]
}
