import { ITEMS } from './items.ts'
import { MOVES } from './moves.ts'
import { REPLICAS } from './replicas.ts'
import { SESSION_FUNCTIONS } from './session-functions.ts'
import { SESSIONS } from './sessions.ts'
import { TURN_FENCES } from './turn-fences.ts'
import { TURNS } from './turns.ts'

/** LangGraph keeps here how far it has brought its own tables up; it makes this one after a query that fails, which no transaction survives. */
const CHECKPOINT_MIGRATIONS = 'CREATE TABLE holdline.checkpoint_migrations (v integer PRIMARY KEY);'

/** SQL by name, in the order of the names. What was released is never changed: a change is one more. */
export const MIGRATIONS: ReadonlyMap<string, string> = new Map([
  ['0001_tables', [SESSIONS, TURNS, TURN_FENCES, SESSION_FUNCTIONS, REPLICAS, ITEMS, MOVES, CHECKPOINT_MIGRATIONS].join('\n')]
])
