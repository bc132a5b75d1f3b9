import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { formatLoad, median, runClient, type Load, type Measure } from './measure.ts'

/** How often each side is measured. */
const ROUNDS = 3

/** By the number of clients, the turns of all of them together: a turn of the development server takes half a second. */
const TURNS = new Map([[1, 50], [10, 300], [50, 500]])

/** Turns after which a client goes on as another person. */
const TURNS_PER_PERSON = 10

/** What is expected: half-latency in fifty, ten times the turns at ten clients. */
const AIMS = { p50Ratio: 50, turnsRatio: 10, clients: 10 }

/** One of the two that are compared: how it is started, and how it is talked to. */
interface Side {
  readonly name: string
  readonly start: (dir: string) => { readonly child: ChildProcess, readonly ready: RegExp }
  readonly client: string
}

const LOADER = `--import=${import.meta.resolve('ts-blank-space/register')}`
const locate = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const { PATH = '', HOME = '' } = process.env

/** The graph that both sides run: one step that repeats what was said, with no model. */
const GRAPH = locate('../test/fixtures/remote-graphs.ts')

const HOLDLINE: Side = {
  name: 'Holdline, POST /api/chat',
  start: dir => ({
    child: spawn(process.execPath, [LOADER, locate('../src/server.ts')], {
      cwd: dir, env: { PATH, HOME, PORT: '0', RATE_LIMIT_MAX: '0', AGENT: `${GRAPH}:echo` }, stdio: ['ignore', 'pipe', 'inherit']
    }),
    ready: /listening at (http:[^"\s]+)/
  }),
  client: 'turn-client.ts'
}

const DEV_SERVER: Side = {
  name: 'LangGraph dev server, runs/wait',
  start: dir => ({
    child: spawn(process.execPath, [LOADER, locate('../test/fixtures/langgraph-server-program.ts'), dir], {
      cwd: dir, env: { PATH, HOME, LANGSMITH_TRACING: 'false' }, stdio: ['pipe', 'pipe', 'inherit']
    }),
    ready: /^serving at (http:\S+)/
  }),
  client: 'turn-langgraph-client.ts'
}

/** A server in a folder of its own, under load, and its end. */
async function measure ({ start, client }: Side, load: Load): Promise<Measure> {
  const dir = await mkdtemp(join(tmpdir(), 'holdline-bench-'))
  const { child, ready } = start(dir)
  try {
    if (child.stdout === null) throw new Error('The server has no output')
    // The log is read to its end: a full pipe would stop the server.
    const lines = createInterface(child.stdout)
    const url = await new Promise<string>((resolve, reject) => {
      lines.on('line', line => {
        const found = ready.exec(line)?.[1]
        if (found !== undefined) resolve(found)
      })
      child.once('exit', () => { reject(new Error('The server did not start')) })
    })
    return await runClient(locate(client), [url, ...formatLoad(load)])
  } finally {
    if (child.exitCode === null && child.signalCode === null) {
      // Nothing that it would still write is wanted.
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await rm(dir, { recursive: true })
  }
}

/** Chat turns through Holdline against the same turns on LangGraph's own development server, the same graph on both, side by side in one run. */
export async function compareServers (): Promise<void> {
  const rows: object[] = []
  for (const [clients, total] of TURNS) {
    const load = { clients, turnsPerClient: Math.ceil(total / clients), turnsPerPerson: TURNS_PER_PERSON }
    const ours: Measure[] = []
    const theirs: Measure[] = []
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(await measure(HOLDLINE, load))
      theirs.push(await measure(DEV_SERVER, load))
    }
    const p50Ratio = median(theirs, 'p50Ms') / median(ours, 'p50Ms')
    const turnsRatio = median(ours, 'turnsPerSecond') / median(theirs, 'turnsPerSecond')
    for (const [{ name }, measures] of [[HOLDLINE, ours], [DEV_SERVER, theirs]] as const) {
      rows.push({
        clients,
        what: name,
        'turns/s': median(measures, 'turnsPerSecond').toFixed(0),
        'p50 ms': median(measures, 'p50Ms').toFixed(2),
        'turns ratio': measures === ours ? turnsRatio.toFixed(1) : '',
        'p50 ratio': measures === ours ? p50Ratio.toFixed(0) : ''
      })
    }
    if (clients === AIMS.clients) {
      const isMet = p50Ratio >= AIMS.p50Ratio && turnsRatio >= AIMS.turnsRatio
      console.log(`At ${clients} clients: ${turnsRatio.toFixed(1)} times the turns (aim ${AIMS.turnsRatio}), 1/${p50Ratio.toFixed(0)} of the p50 (aim 1/${AIMS.p50Ratio}): ${isMet ? 'met' : 'MISSED'}`)
    }
  }
  console.table(rows)
}
