import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import tsBlankSpace from 'ts-blank-space'
import { SETTINGS } from './settings.ts'

/** What the process says of itself, its garbage collected. */
export interface ProcessReport {
  readonly rss: number
  readonly heapUsed: number
  readonly external: number
  readonly timers: number
  readonly eventLoopP99Ms: number
  readonly cpuMs: number
}

/** pino's level of what is worse than a warning. */
const ERROR_LEVEL = 50

const MAX_COMPLAINTS = 20

/** The built service as a process of its own, and all that it complains about. */
export class SoakedService {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #complaints: string[] = []
  #complaintCount = 0
  url = ''

  /** Starts `program` in `dir`, which is empty. */
  constructor (dir: string, program: string) {
    const { PATH = '', HOME = '' } = process.env
    // Plain JavaScript, so that no compiler lives in the process that is measured.
    const probe = join(dir, 'probe.mjs')
    writeFileSync(probe, tsBlankSpace(readFileSync(fileURLToPath(new URL('probe.ts', import.meta.url)), 'utf8')))
    this.#child = spawn(process.execPath, ['--expose-gc', `--import=${probe}`, program], {
      cwd: dir, env: { PATH, HOME, ...SETTINGS }, stdio: ['ignore', 'pipe', 'pipe', 'ipc']
    })
    this.#ended = once(this.#child, 'close')
    // A warning of Node.js, of listeners that pile up, say, is on its stderr.
    this.#child.stderr?.setEncoding('utf8').on('data', text => { this.#complain(String(text)) })
  }

  /** Resolves when it listens. */
  async listen (): Promise<void> {
    const { stdout } = this.#child
    if (stdout === null) throw new Error('The service has no output')
    this.url = await new Promise<string>((resolve, reject) => {
      // Read to its end: a full pipe would stop the service.
      createInterface(stdout).on('line', line => {
        const found = /listening at (http:[^"\s]+)/.exec(line)?.[1]
        if (found !== undefined) resolve(found)
        const level = Number(/^\{"level":(\d+)/.exec(line)?.[1])
        if (level >= ERROR_LEVEL) this.#complain(line)
      })
      this.#child.once('exit', () => { reject(new Error(`The service did not start: ${this.#complaints.join('\n')}`)) })
    })
  }

  get pid (): number {
    return this.#child.pid ?? 0
  }

  /** How many lines of its log, or of its stderr, say that something went wrong; and the first of them. */
  get complaints (): { readonly count: number, readonly first: readonly string[] } {
    return { count: this.#complaintCount, first: this.#complaints }
  }

  get hasEnded (): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async report (): Promise<ProcessReport> {
    const answered = once(this.#child, 'message')
    this.#child.send('report')
    const ended = this.#ended.then(() => { throw new Error('The service ended in the middle of the run') })
    const [report] = await Promise.race([answered, ended])
    return report
  }

  /** Ends it as an operator does; resolves to its exit code. */
  async stop (): Promise<number | null> {
    this.#child.kill('SIGTERM')
    await this.#ended
    return this.#child.exitCode
  }

  /** Ends it at once, for an end of ours that waits for nothing. */
  kill (): void {
    this.#child.kill('SIGKILL')
  }

  async ended (): Promise<void> {
    await this.#ended
  }

  #complain (text: string): void {
    this.#complaintCount++
    if (this.#complaints.length < MAX_COMPLAINTS) this.#complaints.push(text.trim().slice(0, 600))
  }
}
