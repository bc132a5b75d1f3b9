import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { Bell } from '../bell.ts'
import { refuseFailure, refuseTurn } from '../turn-refusal.ts'
import type { RedisConnection } from './client.ts'
import type { RedisEvents } from './events.ts'
import { FIND_OUTCOME, INTERRUPT_TURN } from './turn-scripts.ts'

/** After which a lease is gone that has ended: it counts in whole milliseconds. */
const LITTLE_MS = 10

/** What a turn of another replica is asked to end with. */
export interface TurnInterruptsOptions {
  readonly redis: Pick<RedisConnection, 'run' | 'read'>
  readonly events: RedisEvents
  /** The replica that asks. */
  readonly owner: string
  /** How often it is looked whether the turn has ended, where nothing tells. */
  readonly lookMs: number
  /** Aborted when nothing is waited for any more. */
  readonly stopped: AbortSignal
}

const Interrupted = Type.Tuple([Type.String(), Type.Integer()])
const Outcome = Type.Tuple([Type.Integer(), Type.Integer()])

/** Has turns end that other replicas run. */
export class TurnInterrupts {
  readonly #options: TurnInterruptsOptions

  constructor (options: TurnInterruptsOptions) {
    this.#options = options
  }

  /** As `SessionStore.interrupt` does: waits as long as the turn's lease lives, and a little longer where Redis does not answer. */
  async interrupt (sessionId: string): Promise<boolean> {
    const { redis, events, owner } = this.#options
    const [lease, endsInMs] = Value.Parse(Interrupted, await refuseFailure(() => redis.run(INTERRUPT_TURN, sessionId, owner)))
    if (lease === '') return false
    const bell = new Bell()
    const unfollow = events.subscribe(`outcome:${lease}`, bell.ring)
    try {
      return await this.#waitForEnd(lease, endsInMs, bell)
    } finally {
      unfollow()
    }
  }

  async #waitForEnd (lease: string, endsInMs: number, bell: Bell): Promise<boolean> {
    const { redis, lookMs, stopped } = this.#options
    let giveUpAtMs = performance.now() + endsInMs + lookMs
    for (;;) {
      let againInMs = lookMs
      try {
        const [hasEnded, rest] = Value.Parse(Outcome, await redis.read(FIND_OUTCOME, lease))
        if (hasEnded === 1) return rest === 1
        giveUpAtMs = performance.now() + rest + lookMs
        againInMs = Math.min(rest + LITTLE_MS, lookMs)
      } catch (error) {
        if (performance.now() >= giveUpAtMs) throw refuseTurn(error)
      }
      await bell.hear(againInMs, stopped)
    }
  }
}
