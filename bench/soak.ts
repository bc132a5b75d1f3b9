import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { constants, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client } from './soak/client.ts'
import { Load } from './soak/load.ts'
import { isAtRest, Recorder } from './soak/recorder.ts'
import { SoakedService } from './soak/service.ts'
import { printResult } from './soak/result.ts'

/** Minutes of mixed load, and what is left of it: `npm run soak -- [minutes] [seed]`. Exit code 1 if something rises, or was wrong. */
const [MINUTES = 10, SEED = 1] = process.argv.slice(2).map(Number)
if (!(MINUTES >= 0.5 && MINUTES <= 24 * 60) || !Number.isInteger(SEED)) {
  console.error('How many minutes, at least half of one, and a whole number as the seed: npm run soak -- 10 1')
  process.exit(2)
}

/** A third, but no more than it takes the caches to fill: what is measured before is only shown. */
const LOAD_MS = MINUTES * 60_000
const WARM_UP_MS = Math.min(LOAD_MS / 3, 120_000)
const SAMPLE_MS = Math.min(LOAD_MS / 40, 5000)

/** For sessions to expire, and for idle connections and the service's own timers: what has not gone by itself by then has not gone. */
const REST_MS = 75_000

const program = fileURLToPath(new URL('../dist/src/server.js', import.meta.url))
if (!existsSync(program)) {
  console.error('There is no build: npm run build')
  process.exit(2)
}
const dir = mkdtempSync(join(tmpdir(), 'holdline-soak-'))
const service = new SoakedService(dir, program)
process.once('exit', () => {
  service.kill()
  rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => { process.exit(128 + constants.signals[signal]) })

console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}; ${MINUTES} minutes, seed ${SEED}`)
const startedAtMs = performance.now()
await service.listen()
const client = new Client(service.url)
const recorder = new Recorder(service, dir)
await recorder.measure()
await sleep(1000)
const before = await recorder.measure()

function show (phase: string): void {
  if (!process.stderr.isTTY) return
  const left = Math.max(0, Math.round((startedAtMs + LOAD_MS - performance.now()) / 1000))
  process.stderr.write(`\r\u001b[K${phase}${phase === 'at rest' ? '' : `, ${left} s to go`}; ${load.tally.played} scenes, ${load.findings.size} findings`)
}

const load = new Load(client, SEED)
load.start()
const loadStartedAtMs = performance.now()
let lookMs = 0
while (performance.now() < loadStartedAtMs + LOAD_MS) {
  // On a slow machine a look takes long, and most of the time is for the load.
  await sleep(Math.max(SAMPLE_MS, 3 * lookMs))
  const lookedAtMs = performance.now()
  const isWarm = lookedAtMs >= loadStartedAtMs + WARM_UP_MS
  const sample = await load.pause(async () => await recorder.measure(load.expected))
  lookMs = performance.now() - lookedAtMs
  if (isWarm) recorder.samples.push(sample)
  show(isWarm ? 'measuring' : 'warming up')
}
await load.stop()
const restsAtMs = performance.now()
let after = await recorder.measure()
while (!isAtRest(after, before) && performance.now() < restsAtMs + REST_MS) {
  await sleep(1000)
  show('at rest')
  after = await recorder.measure()
}
const restMs = performance.now() - restsAtMs
// Nothing asks for it any more: what is kept for repeats goes with a timer of the service's.
await sleep(Math.max(0, 35_000 - restMs))
after = await recorder.measure()
const exitCode = await service.stop()
if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
const isRight = printResult({ service, client, load, recorder, before, after, restMs, exitCode, loadStartedAtMs, loadMs: LOAD_MS })
process.exit(isRight ? 0 : 1)
