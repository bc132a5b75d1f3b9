import { closeSync, existsSync, openSync, rmSync } from 'node:fs'
import type { Log } from '../log.ts'

/**
 * The mark, beside a file, that its disk failed and that the file was not checked since: `<path>-check`, empty.
 *
 * Whoever restarts what is degraded gets the check at the start instead. No other start reads the whole file: a big one takes its time, and what
 * `kill -9` or a power cut leaves, SQLite mends on its own.
 */
export class Distrust {
  readonly #path: string
  readonly #log: Log

  constructor (path: string, log: Log) {
    this.#path = `${path}-check`
    this.#log = log
  }

  /** Whether the file is to be checked before it is used. */
  get isOn (): boolean {
    return existsSync(this.#path)
  }

  /** Sets the mark, if the disk takes it: an empty file needs no room, but one on a disk that is read-only cannot be made. */
  begin (): void {
    try {
      closeSync(openSync(this.#path, 'w', 0o600))
    } catch (error) {
      this.#log.warn({ err: error }, 'The disk does not even take a mark that it failed: a restart will not check the conversations')
    }
  }

  /** Takes the mark away. */
  end (): void {
    rmSync(this.#path, { force: true })
  }
}
