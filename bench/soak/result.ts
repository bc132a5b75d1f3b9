import { formatNumber, printTable } from '../store/report.ts'
import type { Client } from './client.ts'
import { isLineName, type Recorder, type Sample } from './recorder.ts'
import { LINES } from './lines.ts'
import type { Load } from './load.ts'
import type { SoakedService } from './service.ts'
import { median, percentile } from './trend.ts'
import { formatVerdict, judgeLine } from './verdict.ts'

/** All that came of a run. */
export interface Result {
  readonly service: SoakedService
  readonly client: Client
  readonly load: Load
  readonly recorder: Recorder
  readonly before: Sample
  readonly after: Sample
  /** How long it took until everything had expired. */
  readonly restMs: number
  readonly exitCode: number | null
  readonly loadStartedAtMs: number
  readonly loadMs: number
}

/** Prints the figures, and what is wrong. Returns whether nothing is. */
export function printResult (result: Result): boolean {
  const { client, load, recorder, before, after, restMs } = result
  const verdicts = Object.entries(LINES).flatMap(([name, line]) => isLineName(name) ? [judgeLine(line, recorder.trace(name, before, after))] : [])
  printTable('After the warm-up, and after the load', ['', 'before', 'early', 'late', 'after', 'rise', 'allowed', ''], verdicts.map(formatVerdict))
  printLatencies(result)
  const { played, leftOut, unclear, notes } = load.tally
  console.log(`\n${played} scenes, ${leftOut} left out, ${unclear} too slow to judge; ${load.rawClients} slow or broken clients; ${notes} notes saved, now ${Math.round(after.noteBytes / 1024)} KiB; at most ${Math.max(...recorder.samples.map(({ sessions }) => sessions))} sessions at once`)
  console.log([...load.scenes].map(([name, count]) => `${name} ${count}`).join(', '))
  console.log(`Answers: ${[...client.counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`).join(', ')}`)
  if (recorder.samples.every(({ journalBytes }) => journalBytes === 0)) console.log('The session file stayed small: it had no journal. This machine is too slow for the load')
  console.log(`At rest ${Math.round(restMs / 1000)} s after the load`)
  const wrong = listWrong(result, verdicts.filter(({ isFlat, isLeft }) => !isFlat || isLeft).map(({ line }) => `${line.what} is not flat`))
  console.log(wrong.length === 0 ? '\nFlat, and every answer was right' : `\nNOT RIGHT:\n${wrong.map(text => `- ${text}`).join('\n')}`)
  return wrong.length === 0
}

function printLatencies ({ client, recorder, loadStartedAtMs, loadMs }: Result): void {
  const { samples } = recorder
  const rows = [['first quarter', 0], ['last quarter', 0.75]] as const
  const table = rows.map(([what, from]) => {
    const isIn = (atMs: number): boolean => atMs >= loadStartedAtMs + from * loadMs && atMs < loadStartedAtMs + (from + 0.25) * loadMs
    const times = client.latencies.filter(({ atMs }) => isIn(atMs)).map(({ ms }) => ms)
    return [what, ...[0.5, 0.99].map(share => formatNumber(percentile(times, share)))]
  })
  printTable('Chat and approve as JSON, ms (not judged: they are the machine\'s, too)', ['', 'p50', 'p99'], table)
  const [first, last] = [samples[0], samples.at(-1)]
  const share = first === undefined || last === undefined ? Number.NaN : (last.cpuMs - first.cpuMs) / (last.atMs - first.atMs)
  console.log(`\nThe service used ${Math.round(share * 100)} % of a core, the collections of these measurements included;`,
    `its event loop was late by ${formatNumber(median(samples.map(({ eventLoopP99Ms }) => eventLoopP99Ms)))} ms at the 99th percentile`)
}

function listWrong ({ service, load, after, exitCode }: Result, wrong: readonly string[]): string[] {
  const { count, first } = service.complaints
  const { notes, unclear } = load.tally
  return [
    ...wrong,
    ...[...load.findings].map(([text, times]) => `${times} × ${text}`),
    ...(count === 0 ? [] : [`The log has ${count} errors and warnings of Node.js, the first: ${first.join('\n  ')}`]),
    ...(after.strayFiles === 0 ? [] : [`${after.strayFiles} files were set aside`]),
    ...(exitCode === 0 ? [] : [`The service ended with ${String(exitCode)}`]),
    // Each approved call ran once, and none that was not.
    ...(load.findings.size > 0 || unclear > 0 || after.notes === notes ? [] : [`${notes} notes were acknowledged, ${after.notes} were saved`])
  ]
}
