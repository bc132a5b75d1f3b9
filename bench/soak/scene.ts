import type { Client } from './client.ts'
import type { Person } from './person.ts'
import type { Random } from './random.ts'

/** What a scene is played with. */
export interface Stage {
  readonly client: Client
  /** Of this scene alone: others do not change what it draws. */
  readonly random: Random
  readonly person: Person
  /** Brings another person, who was never there. */
  readonly invite: () => Person
  /** Does nothing for so long; rejects with an AbortError when the load ends meanwhile. */
  readonly wait: (ms: number) => Promise<void>
}

/** A few requests that belong together, and what is to come of them. Throws a `Finding` if something else does. */
export interface Scene {
  readonly name: string
  readonly play: (stage: Stage) => Promise<void>
}
