import { runJob } from '../children.ts'
import { inRunFolder } from '../folder.ts'
import type { Writes } from '../jobs/writes.ts'
import { countFewRounds } from '../plan.ts'
import { formatNumber, formatRounds, printTable, type Aim, type Bench } from '../report.ts'
import { compareRounds, describe } from './peers.ts'

/** Writes a second of the store by the number of its sessions. */
export async function compareSizes ({ plan, dir }: Bench): Promise<Aim[]> {
  const { writers, sizes, warmUpMs, sizeDurationMs } = plan
  const rounds = countFewRounds(plan)
  const measured = new Map<number, Writes[]>(sizes.map(sessions => [sessions, []]))
  for (let round = 0; round < rounds; round++) {
    for (const sessions of round % 2 === 0 ? sizes : sizes.toReversed()) {
      const peer = { kind: 'holdline', fsync: 'always' } as const
      const options = { peer, sessions, writers, warmUpMs, durationMs: sizeDurationMs }
      measured.get(sessions)?.push(await inRunFolder(dir, runDir => runJob('writes', { ...options, dir: runDir })))
    }
  }
  const rows = [...measured].map(([sessions, writes]) => {
    const longestGapMs = Math.max(...writes.map(({ renewals }) => renewals.longestGapMs))
    return [formatNumber(sessions), ...describe(writes), formatNumber(longestGapMs / 1000)]
  })
  const head = ['sessions', 'writes/s', 'of all rounds', 'p50 ms', 'p99 ms', 'file renewed after s, at most']
  printTable(`B. Writes by size: ${writers} writers, fsync always, ${formatRounds(rounds)}`, head, rows)
  const [, small = 0] = sizes
  const large = sizes.at(-1) ?? 0
  const ratio = compareRounds(measured.get(large) ?? [], measured.get(small) ?? [])
  return [{ what: `B. writes/s at ${formatNumber(large)} / at ${formatNumber(small)} sessions`, value: ratio, unit: '', bound: { atLeast: 0.8 } }]
}
