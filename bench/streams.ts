import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** Open streams, and what they take while tokens flow and while nothing does: `npm run bench:streams -- [streams] [seconds of each phase]`. */
const [STREAMS = 1000, SECONDS = 40] = process.argv.slice(2).map(Number)
const SAMPLES = 5
const MIB = 1024 * 1024
const LOADER = `--import=${import.meta.resolve('ts-blank-space/register')}`

interface Memory {
  readonly rss: number
  readonly heapUsed: number
  readonly external: number
}

/** A model that says a word a second to everybody, for as long as it is to. */
class Provider {
  readonly #open = new Set<ServerResponse>()
  readonly #server = createServer((request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    this.#send(response, { delta: { role: 'assistant', content: '' } })
    this.#open.add(response)
  })

  words = 0

  async listen (): Promise<string> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}/v1` : ''
  }

  say (word: string): void {
    for (const response of this.#open) this.#send(response, { delta: { content: word } })
    this.words += this.#open.size
  }

  end (): void {
    for (const response of this.#open) {
      this.#send(response, { delta: {}, finish_reason: 'stop' })
      response.end('data: [DONE]\n\n')
    }
    this.#server.close()
  }

  #send (response: ServerResponse, choice: object): void {
    const chunk = { id: 'x', object: 'chat.completion.chunk', created: 1, model: 'bench', choices: [{ index: 0, finish_reason: null, ...choice }] }
    response.write(`data: ${JSON.stringify(chunk)}\n\n`)
  }
}

/** It is not the limits that are measured. */
const NO_LIMITS = { RATE_LIMIT_MAX: '0', MAX_STREAMS: '0', MAX_CONCURRENT_TURNS: '1000000' }

function launchService (dir: string, providerUrl: string): ChildProcess {
  const path = (file: string) => fileURLToPath(new URL(file, import.meta.url))
  const model = { MODEL: 'openai:bench', OPENAI_API_KEY: 'x', OPENAI_BASE_URL: providerUrl }
  const env = { ...process.env, ...model, ...NO_LIMITS, PORT: '0', AGENT_TIMEOUT_SECONDS: '3600' }
  const args = ['--expose-gc', LOADER, `--import=${path('streams-memory.ts')}`, path('../src/server.ts')]
  return spawn(process.execPath, args, { cwd: dir, env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
}

const rows: object[] = []
const dir = await mkdtemp(join(tmpdir(), 'holdline-bench-'))
const provider = new Provider()
const service = launchService(dir, await provider.listen())
if (service.stdout === null) throw new Error('The service has no output')
const lines = createInterface(service.stdout)

async function findAddress (): Promise<string> {
  for (;;) {
    const [line] = await once(lines, 'line')
    const found = /listening at (http:[^"\s]+)/.exec(String(line))?.[1]
    if (found !== undefined) return found
  }
}

async function sample (phase: string, second: number): Promise<void> {
  const answered = once(service, 'message')
  service.send('report')
  const [memory] = await answered
  const { rss, heapUsed, external }: Memory = memory
  const format = (bytes: number) => (bytes / MIB).toFixed(1)
  rows.push({ phase, second, 'heap MiB': format(heapUsed), 'external MiB': format(external), 'RSS MiB': format(rss), words: provider.words })
}

async function observe (phase: string, step: (second: number) => void): Promise<void> {
  const every = Math.max(1, Math.round(SECONDS / SAMPLES))
  for (let second = 1; second <= SECONDS; second++) {
    await wait(1000)
    step(second)
    if (second % every === 0) await sample(phase, second)
  }
}

try {
  const url = await findAddress()
  await sample('no stream', 0)
  const clients = fork(fileURLToPath(new URL('streams-client.ts', import.meta.url)), [url, String(STREAMS)], { execArgv: [LOADER] })
  const [state] = await Promise.race([once(clients, 'message'), once(clients, 'exit')])
  if (state !== 'open') throw new Error('The clients could not open their streams')
  await sample('open', 0)
  await observe('tokens', second => { provider.say(`word ${second} `) })
  await observe('silence', () => {})
  provider.end()
  const readers = STREAMS - Math.ceil(STREAMS / 10)
  let [heartbeats, ended, second] = [0, 0, 0]
  for (; ended < readers && second < 120; second++) {
    await wait(1000)
    clients.send('report')
    ;[{ heartbeats, ended }] = await once(clients, 'message')
  }
  await sample('ended', second)
  console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}; ${STREAMS} streams, each tenth unread, a word a second`)
  console.table(rows)
  console.log(`${ended} of ${readers} readers had their answer; ${heartbeats} heartbeats came`)
  clients.kill()
} finally {
  service.kill('SIGKILL')
  await once(service, 'exit')
  await rm(dir, { recursive: true })
}
