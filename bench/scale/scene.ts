import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Cleanup } from '../../test/fixtures/cleanup.ts'

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url))

/** A service that listens. */
export interface Replica {
  readonly url: string
  readonly pid: number
}

/** What a benchmark has started, ended in turn. */
export class Scene implements Cleanup {
  readonly #ends: Array<() => Promise<void> | void> = []

  after (clean: () => Promise<void> | void): void {
    this.#ends.unshift(clean)
  }

  async end (): Promise<void> {
    for (const clean of this.#ends.splice(0)) await clean()
  }

  async makeFolder (): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'holdline-bench-'))
    this.after(async () => { await rm(dir, { recursive: true, force: true }) })
    return dir
  }

  /** One replica of the service. */
  async startService (env: Readonly<Record<string, string>>): Promise<Replica> {
    const cwd = await this.makeFolder()
    const server = spawn(process.execPath, [`--import=${import.meta.resolve('ts-blank-space/register')}`, SERVER], {
      cwd, env: { ...process.env, PORT: '0', RATE_LIMIT_MAX: '1000000', ...env }, stdio: ['ignore', 'pipe', 'inherit']
    })
    this.after(async () => { await stop(server) })
    const { pid } = server
    if (pid === undefined) throw new Error('The service did not start')
    return await new Promise<Replica>((resolve, reject) => {
      // The log is read to its end: a full pipe would stop the service.
      createInterface(server.stdout).on('line', line => {
        const found = /listening at (http:[^"\s]+)/.exec(line)?.[1]
        if (found !== undefined) resolve({ url: found, pid })
      })
      server.once('exit', () => { reject(new Error('The service did not start')) })
    })
  }
}

async function stop (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}
