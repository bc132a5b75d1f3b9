import type { FileState } from './files.ts'

/** A file that was found at the start, or written since, and that may stand there. */
export interface FileVersion {
  readonly sha256: string
  /** How it looks; undefined if only its content tells that it is this one. */
  readonly state: FileState | undefined
  /** Whether it is about to get its name, which changes its ctime and nothing else. */
  readonly isIncoming?: boolean
}

/** Whether a file that looks like this now is that version. */
export function isVersion ({ state, isIncoming = false }: FileVersion, now: FileState): boolean {
  return state !== undefined && isSameState(isIncoming ? { ...state, ctimeNs: now.ctimeNs } : state, now)
}

/** Whether nothing was written to a file between two looks at it. */
export function isSameState (a: FileState, b: FileState): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs
}
