/** What a move does now. */
export type MoveStep = 'Reading sessions' | 'Reading conversations' | 'Moving conversations' | 'Checking conversations' | 'Moving sessions' | 'Checking sessions'

/** How far a move is. */
export interface MoveProgress {
  readonly step: MoveStep
  readonly done: number
  /** Undefined where it is not known before. */
  readonly total: number | undefined
}

/** Hears how far a move is, often. */
export type Tell = (progress: MoveProgress) => void

/** One step of a move, on its way. */
export class Steps {
  readonly #step: MoveStep
  readonly #tell: Tell
  readonly #total: number | undefined
  #done = 0

  constructor (step: MoveStep, tell: Tell, total?: number) {
    this.#step = step
    this.#tell = tell
    this.#total = total
    this.add(0)
  }

  get done (): number {
    return this.#done
  }

  add (count: number): void {
    this.#done += count
    this.#tell({ step: this.#step, done: this.#done, total: this.#total })
  }
}
