import { API_KEY } from './settings.ts'
import { countHandles, measureFolder } from './files.ts'
import { LINES, type LineName } from './lines.ts'
import type { Expected } from './roster.ts'
import type { SoakedService } from './service.ts'
import type { Measured } from './verdict.ts'

/** What people bring, and their row around it, on the average. */
const BYTES_PER_SESSION = 13_500

/** Everything that was measured at one time. */
export interface Sample extends Readonly<Record<LineName, number>> {
  readonly atMs: number
  readonly sessions: number
  readonly cpuMs: number
  readonly eventLoopP99Ms: number
  readonly notes: number
  readonly noteBytes: number
  readonly strayFiles: number
}

/** Looks at a service again and again. */
export class Recorder {
  readonly #service: SoakedService
  readonly #dir: string
  /** Those of the load, once it was warm. */
  readonly samples: Sample[] = []

  constructor (service: SoakedService, dir: string) {
    this.#service = service
    this.#dir = dir
  }

  /** What there is now, the garbage collected; `expected` is what the people of the load left there. */
  async measure (expected: Expected = { sessions: 0, threads: 0 }): Promise<Sample> {
    const sessions = await this.#countSessions()
    const report = await this.#service.report()
    const { files, sockets } = countHandles(this.#service.pid) ?? { files: Number.NaN, sockets: Number.NaN }
    const folder = measureFolder(this.#dir)
    // A session holds its text twice: as what it means, and as its line in the file. How many there are depends on how fast the machine is.
    const heapBeyondSessions = report.heapUsed - 2 * folder.sessionBytes
    const surplusSessionBytes = folder.sessionBytes - BYTES_PER_SESSION * expected.sessions
    const surplus = { surplusSessions: sessions - expected.sessions, surplusThreads: folder.threads - expected.threads }
    return { atMs: performance.now(), sessions, files, sockets, heapBeyondSessions, surplusSessionBytes, ...surplus, ...report, ...folder }
  }

  /** A line as it was before the load, under it, and after it. */
  trace (name: LineName, before: Sample, after: Sample): Measured {
    return { before: before[name], points: this.samples.map(sample => ({ atMs: sample.atMs, value: sample[name] })), after: after[name] }
  }

  async #countSessions (): Promise<number> {
    const headers = { authorization: `Bearer ${API_KEY}`, connection: 'close' }
    const response = await fetch(`${this.#service.url}/api/sessions/count`, { headers, signal: AbortSignal.timeout(30_000) })
    if (response.status !== 200) throw new Error(`The sessions could not be counted: ${response.status}`)
    const { count }: { count: number } = JSON.parse(await response.text())
    return count
  }
}

/** Whether nothing is left of the load that will go by itself. */
export function isAtRest (now: Sample, before: Sample): boolean {
  return Object.entries(LINES).every(([name, line]) => {
    return !('left' in line) || !isLineName(name) || !(now[name] > before[name] + line.left)
  })
}

export function isLineName (name: string): name is LineName {
  return name in LINES
}
