import { readdirSync, readFileSync } from 'node:fs'

/** The kernel counts in hundredths of a second, whatever its own clock is. */
const MS_A_TICK = 10

/**
 * Time on the processor of a process and all its children, in milliseconds; undefined where there is no `/proc`.
 *
 * https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
 */
export function readCpuMs (pid: number): number | undefined {
  try {
    const own = readStat(pid)
    const children = readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(name => tryStat(Number(name))).filter(stat => stat?.parent === pid)
    return [own, ...children].reduce((sum, stat) => sum + (stat?.ticks ?? 0), own.endedTicks) * MS_A_TICK
  } catch {
    return undefined
  }
}

/** The process that started this one. */
export function readParent (pid: number): number {
  return readStat(pid).parent
}

interface Stat {
  readonly parent: number
  readonly ticks: number
  /** Of children that ended. */
  readonly endedTicks: number
}

function readStat (pid: number): Stat {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name of a program may hold blanks and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ').map(Number)
  const [, parent = 0] = fields
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11)
  return { parent, ticks: user + system, endedTicks: endedUser + endedSystem }
}

/** One that ends while we look. */
function tryStat (pid: number): Stat | undefined {
  try {
    return readStat(pid)
  } catch {
    return undefined
  }
}
