import { sumConversations } from './agent/move/conversations.ts'
import { checkSessions } from './move-fitness.ts'
import { sumSource, type MoveOptions } from './move.ts'
import type { LookedAtPlace, MovePlace } from './move-place.ts'
import { listNotes, type MovedConversations, type MoveReport } from './move-report.ts'
import { Steps, type Tell } from './move-steps.ts'

/**
 * Reads all that would be moved, looks whether the target is fit for it, and writes nothing there.
 *
 * *Not promised.* That conversations which the target holds already are the same: that is found out by the move, which then refuses.
 */
export async function tryMove ({ source, target, tell }: Pick<MoveOptions, 'source' | 'tell'> & { readonly target: LookedAtPlace }): Promise<MoveReport> {
  const { sum } = await sumSource(source.sessions, target.sessions ?? { check () {} }, tell)
  const isResumed = target.sessions !== undefined && await checkSessions(source, { ...target, sessions: target.sessions })
  const conversations = source.conversationsName === target.conversationsName ? undefined : await sumAll(source, target.conversationsName, tell)
  const sessions = { source: sum, skipped: 0 }
  const report = { from: source.name, to: target.name, isDryRun: true, isResumed, sessions, conversations, isVerified: false }
  return { ...report, notes: [...source.notes, ...target.notes, ...listNotes(report, source, target)] }
}

async function sumAll (source: MovePlace, to: string, tell: Tell): Promise<MovedConversations | undefined> {
  const conversations = await source.openConversations()
  if (conversations === undefined) return undefined
  const steps = new Steps('Reading conversations', tell)
  try {
    return { from: source.conversationsName, to, source: await sumConversations(conversations, () => { steps.add(1) }), skipped: 0 }
  } finally {
    await conversations.close()
  }
}
