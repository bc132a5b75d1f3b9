/** How much to measure. */
export interface Plan {
  readonly writers: number
  /** Sessions where peers are compared, and where a process is killed. */
  readonly sessions: number
  /** From where the file is exact up to many; the second is the smallest with a journal. */
  readonly sizes: readonly number[]
  readonly manySessions: number
  readonly rounds: number
  readonly warmUpMs: number
  readonly durationMs: number
  /** Of a round at several sizes: longer than the file may be behind, so that each holds the rewriting that it causes. */
  readonly sizeDurationMs: number
  /** Of watching the event loop. */
  readonly watchMs: number
}

export const FULL: Plan = {
  writers: 64,
  sessions: 10_000,
  sizes: [1000, 2000, 10_000, 100_000],
  manySessions: 100_000,
  rounds: 5,
  warmUpMs: 700,
  durationMs: 2000,
  sizeDurationMs: 8000,
  watchMs: 15_000
}

/** To see that everything runs; its numbers are rough. */
export const QUICK: Plan = {
  writers: 64,
  sessions: 10_000,
  sizes: [1000, 2000, 20_000],
  manySessions: 20_000,
  rounds: 1,
  warmUpMs: 300,
  durationMs: 500,
  sizeDurationMs: 1000,
  watchMs: 3000
}

/** Rounds of parts that take long, or vary little. */
export function countFewRounds ({ rounds }: Plan): number {
  return Math.min(rounds, 3)
}
