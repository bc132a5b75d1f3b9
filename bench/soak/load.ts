import { setTimeout as sleep } from 'node:timers/promises'
import { APPROVALS, ONE_TIME_APPROVALS } from './approvals.ts'
import { Finding, type Client } from './client.ts'
import { Person } from './person.ts'
import { Random } from './random.ts'
import { RAW_KINDS, RawClients } from './raw.ts'
import { Roster, type Expected } from './roster.ts'
import type { Scene } from './scene.ts'
import { SESSION_TIMEOUT_MS } from './settings.ts'
import { TALK } from './talk.ts'
import { end, VISITS } from './visits.ts'

/** Scenes that begin in a second: what a core bears beside others, so that it is leaks that are measured and not saturation. */
const SCENES_PER_SECOND = 12

/** Beyond it, the machine is too slow for the load, and some of it is left out. */
const MAX_BUSY = 16

/** For those to come to their end before something is measured: one that hangs is not waited for. */
const MAX_PAUSE_MS = 20_000

/** Of so many scenes, one brings a slow or broken client. */
const RAW_EVERY = 30

/** People who come again and again. */
const RETURNING = 10

/** After such a part of their scenes, or so many messages, they begin a new conversation: all of them together hold about the same. */
const END_SHARE = 1 / 15
const MAX_SAID = 40

const PLATFORMS = ['api', 'telegram', 'discord', 'slack', 'web']

/** A scene that took so long may have lost its session, or its question, to the clock. */
const SLOW_MS = SESSION_TIMEOUT_MS * 0.25

const MAX_FINDINGS = 20

interface Tally {
  played: number
  leftOut: number
  /** Failed, but so slowly that nothing follows from it. */
  unclear: number
  notes: number
}

/** Who plays in a scene. */
interface Role {
  readonly person: Person
  readonly random: Random
  readonly isReturning: boolean
}

/** Everything that people do to the service at once: the same for the same seed, save for time. */
export class Load {
  readonly #client: Client
  readonly #random: Random
  readonly #raw: RawClients
  readonly #ending = new AbortController()
  readonly #free: Person[]
  readonly #playing = new Set<Promise<void>>()
  readonly #roster = new Roster()
  readonly #findings = new Map<string, number>()
  readonly #scenes = new Map<string, number>()
  readonly tally: Tally = { played: 0, leftOut: 0, unclear: 0, notes: 0 }
  #timer: NodeJS.Timeout | undefined
  #visitors = 0
  /** Scenes that do something, and do not wait. */
  #busy = 0
  #isPaused = false

  constructor (client: Client, seed: number) {
    this.#client = client
    this.#random = new Random(seed)
    this.#raw = new RawClients(client.url)
    this.#free = Array.from({ length: RETURNING }, (_, index) => {
      return new Person(`returning-${index}`, this.#random.pick(PLATFORMS), { client, random: new Random(seed + index + 1), roster: this.#roster })
    })
  }

  /** What was wrong, and how often. */
  get findings (): ReadonlyMap<string, number> {
    return this.#findings
  }

  /** How often each scene was played. */
  get scenes (): ReadonlyMap<string, number> {
    return this.#scenes
  }

  get rawClients (): number {
    return this.#raw.started
  }

  start (): void {
    let index = 0
    this.#timer = setInterval(() => { if (!this.#isPaused) this.#begin(index++) }, 1000 / SCENES_PER_SECOND)
  }

  /** Lets `look` see a service that does nothing at the moment: what is under way would be most of what it sees. */
  async pause<T> (look: () => Promise<T>): Promise<T> {
    this.#isPaused = true
    try {
      for (const startedAtMs = performance.now(); this.#busy > 0 && performance.now() < startedAtMs + MAX_PAUSE_MS;) await sleep(10)
      return await look()
    } finally {
      this.#isPaused = false
    }
  }

  /** The sessions and conversations that there have to be. */
  get expected (): Expected {
    return this.#roster.count()
  }

  /** Begins nothing more, and waits for what is under way. */
  async stop (): Promise<void> {
    clearInterval(this.#timer)
    this.#ending.abort()
    await Promise.allSettled(this.#playing)
    this.#raw.close()
    this.#client.close()
  }

  #begin (index: number): void {
    const kind = this.#random.pickWeighted([[30, 'talk'], [14, 'approval'], [52, 'visit'], [8, 'silent']] as const)
    const seed = this.#random.between(0, 2 ** 32 - 1)
    if (index % RAW_EVERY === 0) this.#raw.start(RAW_KINDS[index / RAW_EVERY % RAW_KINDS.length] ?? 'reads nothing')
    const random = new Random(seed)
    const isReturning = kind === 'talk' || kind === 'approval'
    const person = isReturning ? this.#free.shift() : this.#makeVisitor(random)
    if (person === undefined || this.#busy >= MAX_BUSY) {
      this.tally.leftOut++
      if (isReturning && person !== undefined) this.#free.push(person)
      return
    }
    const scene = random.pickWeighted({ talk: TALK, approval: APPROVALS, visit: VISITS, silent: ONE_TIME_APPROVALS }[kind])
    this.#busy++
    const playing = this.#play(scene, { person, random, isReturning }).finally(() => {
      this.#playing.delete(playing)
      this.#busy--
      if (isReturning) this.#free.push(person)
    })
    this.#playing.add(playing)
  }

  #makeVisitor (random: Random): Person {
    return new Person(`visitor-${this.#visitors++}`, random.pick(PLATFORMS), { client: this.#client, random, roster: this.#roster })
  }

  async #play (scene: Scene, { person, random, isReturning }: Role): Promise<void> {
    const startedAtMs = performance.now()
    const notesBefore = person.notes
    this.tally.played++
    this.#scenes.set(scene.name, (this.#scenes.get(scene.name) ?? 0) + 1)
    try {
      if (person.isStale) await person.startAfresh()
      const invite = (): Person => this.#makeVisitor(random)
      await scene.play({ client: this.#client, person, random, invite, wait: async ms => { await this.#wait(ms) } })
      if (isReturning && (person.said.length >= MAX_SAID || random.next() < END_SHARE)) await this.#end(person, random)
    } catch (error) {
      this.#note(scene, error, performance.now() - startedAtMs)
      await person.startAfresh().catch(() => {})
    }
    this.tally.notes += person.notes - notesBefore
  }

  async #wait (ms: number): Promise<void> {
    this.#busy--
    try {
      await sleep(ms, undefined, { signal: this.#ending.signal })
      while (this.#isPaused) await sleep(10)
    } finally {
      this.#busy++
    }
  }

  async #end (person: Person, random: Random): Promise<void> {
    if (person.sessionId === undefined || random.next() < 0.5) await person.startAfresh()
    else await end({ client: this.#client, person })
  }

  #note (scene: Scene, error: unknown, tookMs: number): void {
    if (this.#ending.signal.aborted && error instanceof Error && error.name === 'AbortError') return
    const message = error instanceof Error ? error.message : String(error)
    const isLate = tookMs > SLOW_MS && scene.name !== 'answer too late'
    // One that was never answered, or whose line was cut, is a finding however long it took.
    if (isLate && error instanceof Finding && !message.includes('was not answered within')) {
      this.tally.unclear++
      return
    }
    const text = `${scene.name}: ${message}`
    if (this.#findings.has(text) || this.#findings.size < MAX_FINDINGS) this.#findings.set(text, (this.#findings.get(text) ?? 0) + 1)
  }
}
