import type { MoveProgress } from './move-steps.ts'

/** A terminal, or what stands for one. */
export interface Terminal {
  write (text: string): unknown
  /** Undefined, or 0, where it does not say. */
  readonly columns?: number
}

const BAR_WIDTH = 24
/** Between two pictures: often enough for an eye. */
const PAUSE_MS = 100
const ERASE_LINE = '\r\u001b[K'

/** One line of a terminal that shows how far something is, over and over. */
export class ProgressLine {
  readonly #terminal: Terminal
  #step = ''
  #startedMs = 0
  #shownMs = -Infinity
  #isShown = false

  constructor (terminal: Terminal) {
    this.#terminal = terminal
  }

  show (progress: MoveProgress): void {
    const nowMs = performance.now()
    if (progress.step !== this.#step) {
      this.#step = progress.step
      this.#startedMs = nowMs
    } else if (nowMs - this.#shownMs < PAUSE_MS) return
    this.#shownMs = nowMs
    this.#isShown = true
    const line = formatProgress(progress, nowMs - this.#startedMs)
    // A line that is longer than the terminal would leave its first half behind.
    this.#terminal.write(`${ERASE_LINE}${line.slice(0, (this.#terminal.columns || 80) - 1)}`)
  }

  /** Leaves the line empty, for what is said in the end. */
  end (): void {
    if (this.#isShown) this.#terminal.write(ERASE_LINE)
    this.#isShown = false
  }
}

/** How far it is, in words, with a bar where the end is known. */
export function formatProgress ({ step, done, total }: MoveProgress, elapsedMs: number): string {
  const time = `${Math.floor(elapsedMs / 1000)} s`
  if (total === undefined) return `${step}  ${done}  ${time}`
  const part = total === 0 ? 1 : Math.min(1, done / total)
  const filled = Math.round(part * BAR_WIDTH)
  return `${step}  [${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]  ${done} of ${total}  ${Math.floor(part * 100)} %  ${time}`
}
