import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FileOperations } from './files.ts'
import { readJournal, type JournalContent } from './journal-reader.ts'
import { ifPresent } from './path.ts'

/** Joined before the event loop gets its turn: less than a millisecond's worth. */
const CHANGES_PER_TURN = 1000

/** Where the journal of a file is, and where it is put when the next one begins. */
export function journalPaths (realPath: string): { current: string, older: string } {
  return { current: `${realPath}.journal`, older: `${realPath}.journal.old` }
}

/** A journal whose changes count. */
export interface FittingJournal extends JournalContent {
  readonly path: string
  readonly id: string
}

/** What the journals beside a file mean for it. */
export interface Recovery {
  /** What is to be laid over the file: by session id its line, or undefined if it was removed. */
  readonly changes: ReadonlyMap<string, string | undefined>
  /** The journals that these come from, in their order. */
  readonly fitting: readonly FittingJournal[]
  /** Journals that the file holds as a whole already, and those that hold nothing: they may go. */
  readonly spent: readonly string[]
  /** Journals that are to be kept under another name, and why. */
  readonly strangers: ReadonlyArray<{ readonly path: string, readonly reason: string }>
}

interface FoundJournal { readonly path: string, readonly content: JournalContent | undefined, readonly isEmpty: boolean }

/**
 * Reads the journals beside a file and decides which of them continue it. Changes nothing.
 *
 * A rewrite begins by putting the journal aside as the older one and opening another, which names it as its predecessor; when the new file is
 * written, the new journal names its checksum, and only then the new file takes its place. So one of these holds after a crash:
 *
 * 1. The newer journal names the file: it alone continues it. An older one that it names as its predecessor is spent.
 * 2. The older journal names the file: it continues it, and the newer one continues both if it names the older one as its predecessor and the
 *    older one is whole.
 * 3. No journal names the file: somebody put another file there, or removed it. The file wins, the journals are strangers.
 *
 * Every change is the whole state of a session: applying a journal twice, or to a file that has some of it, comes to the same.
 *
 * @param sha256 The checksum of the file; undefined if there is none.
 */
export async function readJournals (files: FileOperations, realPath: string, sha256: string | undefined): Promise<Recovery> {
  const paths = journalPaths(realPath)
  const found = [await find(files, paths.older), await find(files, paths.current)].filter((journal) => journal !== undefined)
  const fitting = findFitting(found.map(toFitting).filter((journal) => journal !== undefined), sha256)
  const last = fitting.at(-1)
  const changes = await joinChanges(fitting)
  const others = found.filter(({ path }) => fitting.every((journal) => journal.path !== path))
  const isSpent = ({ content, isEmpty }: FoundJournal): boolean =>
    isEmpty || (content?.header !== undefined && (content.header.id === last?.header?.predecessor || holdsNothing(content)))
  return {
    changes,
    fitting,
    spent: others.filter(isSpent).map(({ path }) => path),
    strangers: others.filter((journal) => !isSpent(journal)).map((journal) => ({ path: journal.path, reason: explain(journal, fitting, sha256) }))
  }
}

/** What a journal holds from its birth to its first record. */
function holdsNothing ({ changes, rest }: JournalContent): boolean {
  return changes.size === 0 && rest === 0
}

/** Those of the last journal win. */
async function joinChanges (journals: readonly FittingJournal[]): Promise<Recovery['changes']> {
  const [only] = journals
  if (only !== undefined && journals.length === 1) return only.changes
  const joined = new Map<string, string | undefined>()
  let left = CHANGES_PER_TURN
  for (const { changes } of journals) {
    for (const [sessionId, line] of changes) {
      joined.set(sessionId, line)
      if (--left > 0) continue
      left = CHANGES_PER_TURN
      await nextTurn()
    }
  }
  return joined
}

function findFitting (journals: readonly FittingJournal[], sha256: string | undefined): FittingJournal[] {
  const isNaming = (journal: FittingJournal): boolean => sha256 !== undefined && journal.files.includes(sha256)
  const newest = journals.findLast(isNaming)
  if (newest === undefined) return []
  const next = journals.find(({ header }) => header?.predecessor === newest.id)
  // Cut off within its last record while nothing had been written to the next one, the older journal lacks nothing that counts.
  const isWhole = newest.rest === 0 || (!newest.isDamaged && next?.changes.size === 0)
  return next !== undefined && isWhole ? [newest, next] : [newest]
}

async function find (files: FileOperations, path: string): Promise<FoundJournal | undefined> {
  const state = await ifPresent(files.lstat(path))
  if (state === undefined) return undefined
  if (state.kind !== 'file') return { path, content: undefined, isEmpty: false }
  const file = await files.open(path)
  try {
    return { path, content: await readJournal(file), isEmpty: state.size === 0n }
  } finally {
    await file.close()
  }
}

function toFitting ({ path, content }: FoundJournal): FittingJournal | undefined {
  return content?.header === undefined ? undefined : { ...content, path, id: content.header.id }
}

function explain ({ content }: FoundJournal, fitting: readonly FittingJournal[], sha256: string | undefined): string {
  if (content === undefined) return 'it is not a regular file'
  if (content.header === undefined) return 'it does not begin like a journal'
  if (fitting.some(({ id }) => id === content.header?.predecessor)) return 'it goes on from a journal that is not whole'
  return sha256 === undefined ? 'there is no file that it could continue' : 'it continues another file than this one'
}
