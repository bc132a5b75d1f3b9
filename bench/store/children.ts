import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Jobs } from './child.ts'

type Options<Name extends keyof Jobs> = Parameters<Jobs[Name]>[0]
type Result<Name extends keyof Jobs> = Awaited<ReturnType<Jobs[Name]>>

const running = new Set<ChildProcess>()
let program = ''

/** Names the compiled `child.ts`. Call before the first job. */
export function setProgram (path: string): void {
  program = path
}

/** Remembers a process until it ends, so that it can be ended with this one. */
export function track (child: ChildProcess): void {
  running.add(child)
  child.once('exit', () => { running.delete(child) })
}

/** For the end of this process, however it comes. */
export function killChildren (): void {
  for (const child of running) child.kill('SIGKILL')
}

/** Does a job in a new process and ends that. */
export async function runJob<Name extends keyof Jobs> (name: Name, options: Options<Name>): Promise<Result<Name>> {
  const { child, result } = startJob(name, options)
  const ended = once(child, 'exit')
  const answer = await result
  child.disconnect()
  await ended
  return answer
}

/** Does a job in a new process, kills that `afterMs` later, and resolves when it is dead. */
export async function runAndKill<Name extends keyof Jobs> (name: Name, options: Options<Name>, afterMs: number): Promise<Result<Name>> {
  const { child, result } = startJob(name, options)
  const ended = once(child, 'exit')
  const answer = await result
  setTimeout(() => { child.kill('SIGKILL') }, afterMs)
  await ended
  return answer
}

function startJob<Name extends keyof Jobs> (name: Name, options: Options<Name>): { child: ChildProcess, result: Promise<Result<Name>> } {
  const child = fork(program, [name, JSON.stringify(options)], { execArgv: ['--expose-gc'] })
  track(child)
  const failed = once(child, 'exit').then(([code, signal]) => { throw new Error(`The job ${name} ended with ${String(code ?? signal)}`) })
  return { child, result: Promise.race([once(child, 'message'), failed]).then(([result]) => result) }
}
