import type { Decision } from './agent/agent.ts'

const APPROVAL = /^(?:yes|y|ok|approved?|\/approve)(?:\s+all)?$/i
const REJECTION = /^(?:no|n|rejected|\/?reject)(?:\s+all)?$/i
const REASONED_REJECTION = /^(?:\/reject\s+|\/?reject(?:\s+all)?\s*:\s*)(?<reason>\S.*)$/is
/** A comma ends a part only where the next part begins, since a reason may hold commas of its own. */
const PART_END = /\s*(?:[,;\n]|\band\b)\s*(?=\/?(?:approve|reject)\s+\d)/i
const PART = /^\/?(?<verb>approve|reject)\s+(?<numbers>\d+(?:\s*(?:,|&|and)\s*\d+)*)(?:\s*:\s*(?<reason>\S.*))?$/is
/** A question mark is left alone: "ok?" asks, it does not decide. */
const CLOSING_PUNCTUATION = /[\s.!,;:…。！]+$/

/**
 * Reads a chat message that is a decision as a whole; undefined for any other text.
 *
 * `actionCount` is how many actions the question covers: the result holds one decision for each, in order.
 */
export function parseDecisionWords (text: string, actionCount: number): Decision[] | undefined {
  const words = text.trim()
  const bare = words.replace(CLOSING_PUNCTUATION, '')
  if (APPROVAL.test(bare)) return Array.from({ length: actionCount }, () => ({ type: 'approve' }))
  if (REJECTION.test(bare)) return Array.from({ length: actionCount }, () => ({ type: 'reject' }))
  const numbered = parseNumbered(words, actionCount)
  if (numbered !== undefined) return numbered
  const reason = REASONED_REJECTION.exec(words)?.groups?.reason
  // "/reject 2" beside other actions may mean the second one: too doubtful to reject them all.
  if (reason === undefined || (actionCount > 1 && /^\d/.test(reason))) return undefined
  return Array.from({ length: actionCount }, () => ({ type: 'reject', message: reason }))
}

/** `approve 1, reject 2: wrong date`: every action once, or it is no decision. */
function parseNumbered (words: string, actionCount: number): Decision[] | undefined {
  const decisions = new Map<number, Decision>()
  for (const part of words.split(PART_END)) {
    const groups = (PART.exec(part) ?? PART.exec(part.replace(CLOSING_PUNCTUATION, '')))?.groups
    if (groups?.verb === undefined || groups.numbers === undefined) return undefined
    const { reason } = groups
    const isApproval = groups.verb.toLowerCase() === 'approve'
    if (isApproval && reason !== undefined) return undefined
    for (const digits of groups.numbers.match(/\d+/g) ?? []) {
      const number = Number(digits)
      if (number < 1 || number > actionCount || decisions.has(number)) return undefined
      decisions.set(number, isApproval ? { type: 'approve' } : { type: 'reject', ...(reason !== undefined && { message: reason }) })
    }
  }
  if (decisions.size !== actionCount) return undefined
  return [...decisions].sort(([a], [b]) => a - b).map(([, decision]) => decision)
}
