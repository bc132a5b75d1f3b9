import { randomUUID } from 'node:crypto'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { Bell } from '../bell.ts'
import { ServiceError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { LockOptions } from '../sessions/store.ts'
import type { TurnLease } from '../turn-lease.ts'
import type { RedisConnection } from './client.ts'
import type { RedisEvents } from './events.ts'
import { ADVANCE_TURN, ENTER_TURN, FIND_OUTCOME, INTERRUPT_TURN, RELEASE_TURN } from './turn-scripts.ts'
import { TurnTickets, type TurnTicket } from './turn-tickets.ts'

const TTL_MS = 10_000
const RETRY_AFTER_SECONDS = 5

/** What a lease that has ended takes to be gone. */
const LITTLE_MS = 10

/** A turn whose time has come. */
export interface QueuedTurn {
  readonly lease: TurnLease
  /** All fields of the session's hash as they were then; undefined if there is none. */
  readonly row: Readonly<Record<string, string>> | undefined
  /**
   * Lets the next one in; resolves when it may come in, at the latest when the lease ends; never rejects. A second call does nothing.
   * `wasInterrupted`: the lease's TURN_CANCELLED is what ended the turn.
   */
  release (wasInterrupted?: boolean): Promise<void>
}

/** What a queue is kept with. */
export interface RedisTurnQueueOptions {
  readonly redis: Pick<RedisConnection, 'run' | 'read' | 'clock'>
  readonly events: RedisEvents
  readonly log: Log
  /** How long a replica that says nothing keeps its turns. */
  readonly ttlMs?: number
  /** How often it says something. */
  readonly renewMs?: number
}

/** Whether it is in (-1: not, any more), or first; for how many ms the first one is good; the session's hash, names and values in turn. */
const TurnPlace = Type.Tuple([Type.Integer(), Type.Integer(), Type.Array(Type.String())])
type TurnPlace = Static<typeof TurnPlace>

const Interrupted = Type.Tuple([Type.String(), Type.Integer()])
const Outcome = Type.Tuple([Type.Integer(), Type.Integer()])

/**
 * The turns of sessions, over all replicas that share a Redis server.
 *
 * *Promise.* One turn of a session runs at a time, in the order in which they asked, by the server's own expiry of keys: the clocks of replicas do not
 * matter. What is written by a script that checks the lease (`LEASE_CHECK_LUA`) is written by the one whose turn it is. Entering and leaving take one
 * round trip each. A replica that dies gives its turns away when its leases end.
 * Keys expire at a time of day, also in the append-only file and on replicas of the server: while the server is down leases run out, and none of them
 * is good for longer after a restart.
 *
 * *Not promised.* Where the server loses what it acknowledged (`appendfsync everysec`, a failover), leases are lost, and their turns cut off at the
 * next renewal or write; two may run side by side until then, but only one writes. The same where the server's clock is set forward. Set back, it makes
 * the turns of a dead replica wait for longer. A place whose request found no answer may keep others waiting for `ttlMs`.
 */
export class RedisTurnQueue {
  readonly #options: Required<RedisTurnQueueOptions>
  readonly #owner = randomUUID()
  readonly #tickets: TurnTickets
  readonly #releases = new Set<Promise<void>>()
  readonly #closing = new AbortController()

  constructor (options: RedisTurnQueueOptions) {
    const ttlMs = options.ttlMs ?? TTL_MS
    this.#options = { renewMs: Math.ceil(ttlMs / 3), ...options, ttlMs }
    this.#tickets = new TurnTickets(this.#options)
    setMaxListeners(0, this.#closing.signal)
  }
}
