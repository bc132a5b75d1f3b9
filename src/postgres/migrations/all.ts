import { ITEMS } from './items.ts'
import { MOVES } from './moves.ts'
import { REPLICAS } from './replicas.ts'
import { SESSION_FUNCTIONS } from './session-functions.ts'
import { SESSIONS } from './sessions.ts'
import { TURN_FENCES } from './turn-fences.ts'
import { TURNS } from './turns.ts'

/** SQL by name, in the order of the names. What was released is never changed: a change is one more. */
export const MIGRATIONS: ReadonlyMap<string, string> = new Map([
  ['0001_tables', [SESSIONS, TURNS, TURN_FENCES, SESSION_FUNCTIONS, REPLICAS, ITEMS, MOVES].join('\n')]
])
