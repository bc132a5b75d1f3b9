import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** What a run of many turns came to. */
export interface Measure {
  readonly turnsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** How much to do. */
export interface Load {
  readonly clients: number
  readonly turnsPerClient: number
  /** Turns after which a client goes on as another person: a turn costs more the longer its conversation is. */
  readonly turnsPerPerson: number
}

/** Runs `turn` for every client, one after another within a client. */
export async function measureTurns ({ clients, turnsPerClient, turnsPerPerson }: Load, turn: (person: string) => Promise<void>): Promise<Measure> {
  const run = Math.random().toString(36).slice(2)
  const latencies: number[] = []
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: clients }, async (_, client) => {
    for (let index = 0; index < turnsPerClient; index++) {
      const before = performance.now()
      await turn(`${run}-${client}-${Math.floor(index / turnsPerPerson)}`)
      latencies.push(performance.now() - before)
    }
  }))
  const seconds = (performance.now() - startedAt) / 1000
  latencies.sort((a, b) => a - b)
  const percentile = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN
  return { turnsPerSecond: latencies.length / seconds, p50Ms: percentile(0.5), p99Ms: percentile(0.99) }
}

/** The load that a child is given on its command line. */
export function readLoad (args: readonly string[]): Load {
  const [clients = 1, turnsPerClient = 1, turnsPerPerson = 1] = args.map(Number)
  return { clients, turnsPerClient, turnsPerPerson }
}

/** The same on the command line. */
export function formatLoad ({ clients, turnsPerClient, turnsPerPerson }: Load): string[] {
  return [clients, turnsPerClient, turnsPerPerson].map(String)
}

/** Runs a program that measures, and tells what it measured as its output. */
export async function runClient (path: string, args: readonly string[]): Promise<Measure> {
  const child = spawn(process.execPath, [`--import=${import.meta.resolve('ts-blank-space/register')}`, path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', text => { output += String(text) })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${path} ended with ${String(code)}`)
  return JSON.parse(output)
}

/** Of several runs, the one in the middle. */
export function median (measures: readonly Measure[], key: keyof Measure): number {
  return measures.map(measure => measure[key]).sort((a, b) => a - b)[Math.floor(measures.length / 2)] ?? Number.NaN
}
