import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { formatLoad, median, runClient, type Load, type Measure } from './measure.ts'
import { compareLengths } from './turn-length.ts'
import { compareServers } from './turn-server.ts'

/** Turns, side by side in one run: `npm run bench:turn`, `npm run bench:turn -- length`. */
const PARTS = new Map([['http', compareHttp], ['length', compareLengths], ['server', compareServers]])

const ROUNDS = 3
const TURNS = 1000
const TURNS_PER_PERSON = 10

const locate = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

/** The service, in a folder of its own. */
function launch (cwd: string) {
  const env = { ...process.env, PORT: '0', RATE_LIMIT_MAX: '0' }
  return spawn(process.execPath, [`--import=${import.meta.resolve('ts-blank-space/register')}`, locate('../src/server.ts')], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
}

async function measureBare (load: Load): Promise<Measure> {
  const dir = await mkdtemp(join(tmpdir(), 'holdline-bench-'))
  try {
    return await runClient(locate('turn-bare.ts'), [dir, ...formatLoad(load)])
  } finally {
    await rm(dir, { recursive: true })
  }
}

async function measureHttp (load: Load): Promise<Measure> {
  const dir = await mkdtemp(join(tmpdir(), 'holdline-bench-'))
  const server = launch(dir)
  try {
    const url = await new Promise<string>((resolve, reject) => {
      // The log is read to its end: a full pipe would stop the service.
      createInterface(server.stdout).on('line', line => {
        const found = /listening at (http:[^"\s]+)/.exec(line)?.[1]
        if (found !== undefined) resolve(found)
      })
      server.once('exit', () => { reject(new Error('The service did not start')) })
    })
    return await runClient(locate('turn-client.ts'), [url, ...formatLoad(load)])
  } finally {
    if (server.exitCode === null) {
      server.kill('SIGTERM')
      await once(server, 'exit')
    }
    await rm(dir, { recursive: true })
  }
}

/** Turns over HTTP against the bare graph. */
async function compareHttp (): Promise<void> {
  console.log(`Median of ${ROUNDS} rounds of ${TURNS} turns, offline model`)
  const rows: object[] = []
  for (const clients of [1, 10]) {
    const load = { clients, turnsPerClient: TURNS / clients, turnsPerPerson: TURNS_PER_PERSON }
    const bare: Measure[] = []
    const http: Measure[] = []
    for (let round = 0; round < ROUNDS; round++) {
      bare.push(await measureBare(load))
      http.push(await measureHttp(load))
    }
    const ratio = median(http, 'turnsPerSecond') / median(bare, 'turnsPerSecond')
    for (const [what, measures] of [['graph.invoke', bare], ['POST /api/chat', http]] as const) {
      rows.push({
        clients,
        what,
        'turns/s': Math.round(median(measures, 'turnsPerSecond')),
        'p50 ms': median(measures, 'p50Ms').toFixed(2),
        'p99 ms': median(measures, 'p99Ms').toFixed(2),
        ratio: measures === http ? ratio.toFixed(2) : ''
      })
    }
  }
  console.table(rows)
}

const names = process.argv.slice(2)
for (const name of names) {
  if (PARTS.has(name)) continue
  console.error(`There is no part ${name}: ${[...PARTS.keys()].join(', ')}`)
  process.exit(2)
}
console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`)
for (const [name, compare] of PARTS) {
  if (names.length === 0 || names.includes(name)) await compare()
}
