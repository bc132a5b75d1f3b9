import { stat } from 'node:fs/promises'
import { runJob } from '../children.ts'
import type { Load } from '../jobs/load.ts'
import { median } from '../median.ts'
import { formatNumber, formatRounds, printTable, type Aim, type Bench } from '../report.ts'
import { getSessionsPath, makeSessions, writeSessionsFile } from '../workload.ts'

/** Time to load a file, against the least that fast-csv needs to read it. */
export async function compareLoad ({ plan, dir }: Bench): Promise<Aim[]> {
  const { manySessions } = plan
  const rounds = Math.max(plan.rounds, 3)
  const path = getSessionsPath(dir)
  await writeSessionsFile(path, makeSessions(manySessions))
  const { size } = await stat(path)
  const loads: Load[] = []
  const parses: Load[] = []
  for (let round = 0; round < rounds; round++) {
    loads.push(await runJob('load', { dir }))
    parses.push(await runJob('parse', { dir }))
  }
  for (const { rows } of [...loads, ...parses]) {
    if (rows !== manySessions) throw new Error(`Of ${manySessions} rows ${rows} were read`)
  }
  const title = `C. Loading ${formatNumber(manySessions)} sessions of ${formatNumber(size / manySessions)} bytes: ${formatRounds(rounds)}`
  const rows = [['this store, open()', ...describe(loads)], ['fast-csv, rows counted', ...describe(parses)]]
  printTable(title, ['', 'ms', 'of all rounds', 'rows/s'], rows)
  const ratios = loads.map(({ ms }, round) => ms / (parses[round]?.ms ?? Number.NaN))
  return [{ what: 'C. time of open() / of a bare parse by fast-csv', value: median(ratios), unit: '', bound: { atMost: 1.5 } }]
}

function describe (loads: readonly Load[]): string[] {
  const times = loads.map(({ ms }) => ms)
  const rows = loads[0]?.rows ?? 0
  return [formatNumber(median(times)), `${formatNumber(Math.min(...times))}–${formatNumber(Math.max(...times))}`, formatNumber(rows / median(times) * 1000)]
}
