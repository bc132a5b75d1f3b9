import type { Line } from './verdict.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** Everything that has to be flat, and what it may rise by: more than it wavers by on a busy machine, less than a leak adds in two minutes. */
export const LINES = {
  heapBeyondSessions: { what: 'heap, twice the session file left out', unit: 'MiB', rise: { plus: 4 * MIB, share: 0 } },
  external: { what: 'buffers outside the heap', unit: 'MiB', rise: { plus: 2 * MIB, share: 0 } },
  rss: { what: 'memory of the process', unit: 'MiB', rise: { plus: 24 * MIB, share: 0.2 } },
  files: { what: 'files open', unit: '', rise: { plus: 2, share: 0 }, left: 0 },
  sockets: { what: 'sockets open', unit: '', rise: { plus: 6, share: 0.2 }, left: 0 },
  timers: { what: 'timers', unit: '', rise: { plus: 16, share: 0.2 }, left: 0 },
  surplusSessions: { what: 'sessions beyond those of people who came', unit: '', rise: { plus: 10, share: 0 }, left: 0 },
  surplusSessionBytes: { what: 'sessions.csv, 13.5 KB for each who came left out', unit: 'KiB', rise: { plus: 2 * MIB, share: 0.25 }, left: 0 },
  journalBytes: { what: 'its journals', unit: 'KiB', rise: { plus: 2 * MIB, share: 0.1 }, left: 0 },
  surplusThreads: { what: 'conversations beyond those of people who spoke', unit: '', rise: { plus: 30, share: 0 }, left: 0 },
  conversationBytes: { what: 'conversations.sqlite and its log, notes left out', unit: 'KiB', rise: { plus: 1 * MIB, share: 0.1 } }
} as const satisfies Record<string, Line>

export type LineName = keyof typeof LINES
