import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Log } from '../../log.ts'
import { DROP, RESTORE } from './heal-scripts.ts'
import type { SessionScripts } from './scripts.ts'

/** Scripts of a thousand looks each in one sweep: a million sessions are gone through in four hours of sweeps of five minutes. */
const PARTS = 20

/** No start takes longer for each of its two walks; the sweeps go on where they ended. */
const MAX_START_MS = 1000

/** Where to go on, and how many sessions were healed; SCAN answers a text. */
const Healed = Type.Tuple([Type.Union([Type.Integer(), Type.String()]), Type.Integer()])

/** What indexes are healed with. */
export interface HealingOptions {
  readonly scripts: Pick<SessionScripts, 'read'>
  readonly log: Log
  /** After which Redis itself drops a session that nobody removed. */
  readonly ttlMs: number
}

/**
 * Makes indexes right that something other than this service has changed, in two walks: one goes through the order of activity, dropping places of
 * sessions whose hashes are gone, since an operator removed them, or their time to live was over; the other goes through the hashes, putting
 * those back that have lost a place.
 */
export class Healing {
  readonly #options: HealingOptions
  #place = '0'
  #cursor = '0'

  constructor (options: HealingOptions) {
    this.#options = options
  }

  /** From the beginning, as far as it comes in a second or two. */
  async begin (): Promise<void> {
    this.#place = this.#cursor = '0'
    await this.#heal(() => {
      const endsAtMs = performance.now() + MAX_START_MS
      return () => performance.now() < endsAtMs
    })
  }

  /** From where it ended last. */
  async goOn (): Promise<void> {
    await this.#heal(() => {
      let parts = 0
      return () => ++parts < PARTS
    })
  }

  async #heal (limit: () => () => boolean): Promise<void> {
    const { scripts, log, ttlMs } = this.#options
    const dropped = await walk(limit(), async () => await scripts.read(DROP, this.#place), next => { this.#place = next })
    if (dropped > 0) log.warn({ sessions: dropped }, 'Something other than this service removed sessions from Redis: they are not listed or counted any more')
    const restored = await walk(limit(), async () => await scripts.read(RESTORE, ttlMs, this.#cursor), next => { this.#cursor = next })
    if (restored > 0) log.warn({ sessions: restored }, 'Something other than this service removed indexes of sessions from Redis: they are found, listed and counted again')
  }
}

/** Goes on until the end, which is at 0, or as long as it may. Resolves to how many were healed. */
async function walk (goesOn: () => boolean, step: () => Promise<unknown>, note: (next: string) => void): Promise<number> {
  let sum = 0
  for (let next = ''; next !== '0';) {
    const [place, healed] = Value.Parse(Healed, await step())
    next = String(place)
    note(next)
    sum += healed
    if (!goesOn()) break
  }
  return sum
}
