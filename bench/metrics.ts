import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildApp } from '../src/app.ts'
import { Metrics } from '../src/metrics/metrics.ts'
import { median } from './store/median.ts'

/** What it costs to be measured: `npm run bench:metrics -- [sessions]`. */
const SESSIONS = Number(process.argv[2] ?? 100_000)
const ROUNDS = 5
const OBSERVATIONS = 200_000
const SCRAPES = 50

const QUIET = { info () {}, warn () {}, error () {} }

/** Nanoseconds for each call, at the median of some rounds. */
function time (call: (index: number) => void): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const startedMs = performance.now()
    for (let index = 0; index < OBSERVATIONS; index++) call(index)
    return (performance.now() - startedMs) * 1e6 / OBSERVATIONS
  })
  return Math.round(median(rounds))
}

function measureObservations (): void {
  const { http, turns, store } = new Metrics({ version: '0', platforms: ['api'], log: QUIET, now: Date.now })
  const usage = { input_tokens: 10, output_tokens: 5, total_tokens: 15 }
  const turn = { route: 'chat', outcome: 'completed', code: undefined, waitedMs: 1, durationMs: 12, model: 'offline', usage } as const
  console.log(`a request: ${time(index => { http.ended({ method: 'POST', route: '/api/chat', status: 200 }, index % 100) })} ns`)
  console.log(`a turn: ${time(() => { turns.ended(turn) })} ns`)
  console.log(`a group of changes: ${time(index => { store.saved(1 + index % 64, 1) })} ns`)
  console.log(`a sync: ${time(() => { store.synced('fdatasync', 0.1) })} ns`)
}

/** A file of so many sessions; each tenth waits with a question. */
function writeSessions (path: string): void {
  const header = 'session_id,user_id,platform,thread_id,created_at,last_activity,pending_approval,metadata\n'
  const time = new Date().toISOString()
  const rows = Array.from({ length: SESSIONS }, (_, index) => {
    const asked = index % 10 === 0 ? `"{""requested_at"":""${time}""}"` : ''
    return `s-${index},telegram_${index},telegram,t-${index},${time},${time},${asked},{}\n`
  })
  writeFileSync(path, header + rows.join(''))
}

async function measureScrapes (): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'holdline-bench-'))
  const path = join(dir, 'sessions.csv')
  writeSessions(path)
  const app = await buildApp({ env: { SESSIONS_CSV_PATH: path } })
  try {
    await app.ready()
    const times: number[] = []
    const reads: number[] = []
    let bytes = 0
    for (let scrape = 0; scrape < SCRAPES; scrape++) {
      const startedMs = performance.now()
      bytes = (await app.inject({ url: '/metrics' })).body.length
      times.push(performance.now() - startedMs)
      const readMs = performance.now()
      await app.metrics.state.readStore()
      reads.push(performance.now() - readMs)
    }
    console.log(`/metrics at ${SESSIONS} sessions: ${median(times).toFixed(2)} ms, ${bytes} bytes, of which the sessions ${median(reads).toFixed(3)} ms`)
  } finally {
    await app.close()
    rmSync(dir, { recursive: true })
  }
}

measureObservations()
await measureScrapes()
