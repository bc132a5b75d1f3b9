import type { Item } from '@langchain/langgraph-checkpoint'
import { Checksum, type Sum } from '../../checksum.ts'
import { ServiceError } from '../../errors.ts'
import { forEachParallel } from '../../parallel.ts'
import type { ThreadActivity } from '../agent.ts'
import type { Conversations } from '../conversations.ts'
import type { MovedClock } from './clock.ts'
import { describeNote, walkNotes } from './notes.ts'
import { describeThread, hasThread, readThread, walkThreads, writeThread, type DescribedThread } from './threads.ts'

/** Threads on their way at once: a server has something to do while it waits for its disk. */
const WIDTH = 8

/** What conversations come to. */
export interface ConversationSums {
  readonly threads: number
  readonly checkpoints: Sum
  readonly notes: Sum
  /** Threads that cannot be read, and are not among them. */
  readonly unreadable: readonly string[]
  /** Earlier states of threads that stay behind; see `describeThread`. */
  readonly left: number
}

/** What was done. */
export interface ConversationMove extends ConversationSums {
  /** Threads and notes that were there already, and equal. */
  readonly skipped: number
}

/** Called after each thread, and after each note. */
export type Step = () => void

/** What there is in one place. */
export async function sumConversations (conversations: Conversations, step: Step): Promise<ConversationSums> {
  return await visit(conversations, step, async () => {}, async () => {})
}

/** Whether all that one place has is the same in the other. */
export async function isPartOf (part: Conversations, whole: Conversations): Promise<boolean> {
  for await (const { threadId } of walkThreads(part)) {
    const [one, other] = await Promise.all([part, whole].map(async place => await describeThread(await readThread(place, threadId))))
    if (!isSame(one, other)) return false
  }
  for await (const note of walkNotes(part.notes)) {
    const other = await whole.notes.get(note.namespace, note.key)
    if (other === null || describeNote(other) !== describeNote(note)) return false
  }
  return true
}

/** Whether there is nothing at all. */
export async function isEmpty (conversations: Conversations): Promise<boolean> {
  const [threads, namespaces] = await Promise.all([conversations.listThreads('', 1), conversations.notes.listNamespaces({ limit: 1, offset: 0 })])
  return threads.length === 0 && namespaces.length === 0
}

/**
 * Puts into one place all that another one has, and nothing twice.
 *
 * *Promise.* Threads with their checkpoints in order, the writes beside them, and when they were last written to; notes with their times. What an
 * attempt before left half done is done anew. A thread that cannot be read costs no other.
 *
 * @param clock The one by which `target` tells the time.
 */
export async function copyConversations (source: Conversations, target: Conversations, clock: MovedClock, step: Step): Promise<ConversationMove> {
  const isFresh = await isEmpty(target)
  let skipped = 0
  const sums = await visit(source, step, async ({ threadId, lastWriteMs }, found) => {
    const present = isFresh ? undefined : await tryRead(target, threadId)
    if (isSame(present, found)) {
      skipped++
      return
    }
    // What was left half done may not be readable.
    if (!isFresh) await target.deleteThread(threadId)
    await clock.at(lastWriteMs, () => writeThread(target, found.checkpoints))
  }, async note => {
    const { namespace, key } = note
    const present = isFresh ? null : await target.notes.get(namespace, key)
    if (present !== null && describeNote(present) === describeNote(note)) {
      skipped++
      return
    }
    if (present !== null) await target.notes.delete(namespace, key)
    await putNote(target, note, clock)
  })
  if (!isFresh) await removeOthers(source, target)
  return { ...sums, skipped }
}

async function putNote ({ notes }: Conversations, { namespace, key, value, createdAt, updatedAt }: Item, clock: MovedClock): Promise<void> {
  await clock.at(createdAt.getTime(), () => notes.put(namespace, key, value))
  if (updatedAt.getTime() !== createdAt.getTime()) await clock.at(updatedAt.getTime(), () => notes.put(namespace, key, value))
}

/** Removes what an attempt before moved, and what has gone since. */
async function removeOthers (source: Conversations, target: Conversations): Promise<void> {
  for await (const { threadId } of walkThreads(target)) {
    if (!await hasThread(source, threadId)) await target.deleteThread(threadId)
  }
  const strays: Array<readonly [namespace: string[], key: string]> = []
  for await (const { namespace, key } of walkNotes(target.notes)) {
    if (await source.notes.get(namespace, key) === null) strays.push([namespace, key])
  }
  for (const [namespace, key] of strays) await target.notes.delete(namespace, key)
}

async function visit (
  conversations: Conversations,
  step: Step,
  seeThread: (thread: ThreadActivity, found: DescribedThread) => Promise<void>,
  seeNote: (note: Item) => Promise<void>
): Promise<ConversationSums> {
  const checkpoints = new Checksum()
  const notes = new Checksum()
  const unreadable: string[] = []
  let [threads, left] = [0, 0]
  await forEachParallel(walkThreads(conversations), WIDTH, async thread => {
    const found = await tryRead(conversations, thread.threadId)
    step()
    if (found === undefined) {
      unreadable.push(thread.threadId)
      return
    }
    threads++
    left += found.left
    for (const text of found.texts) checkpoints.add(text)
    await seeThread(thread, found)
  })
  // One after another: of notes of one moment, the order in which they were put is all there is.
  for await (const note of walkNotes(conversations.notes)) {
    notes.add(describeNote(note))
    await seeNote(note)
    step()
  }
  return { threads, checkpoints: checkpoints.sum, notes: notes.sum, unreadable: unreadable.sort(), left }
}

/** Undefined if a thread cannot be read; a store that cannot be read ends all. */
async function tryRead (conversations: Conversations, threadId: string): Promise<DescribedThread | undefined> {
  try {
    return await describeThread(await readThread(conversations, threadId))
  } catch (error) {
    if (error instanceof ServiceError) throw error
    return undefined
  }
}

function isSame (one: DescribedThread | undefined, other: DescribedThread | undefined): boolean {
  return one !== undefined && one.texts.length === other?.texts.length && one.texts.every((text, index) => text === other.texts[index])
}
