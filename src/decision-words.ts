import type { Decision } from './agent/agent.ts'

const APPROVAL = /^(?:yes|y|ok|approved?|\/approve)(?: all)?$/i
const REJECTION = /^(?:no|n|rejected|\/?reject)(?: all)?$/i
const REASONED_REJECTION = /^(?:\/reject\s+|\/?reject(?:\s+all)?\s*:\s*)(?<reason>\S.*)$/is
const PART_START = /\/?\b(?:approve|reject)\s+\d/gi
const PART = /^\/?(?<verb>approve|reject)\s+(?<numbers>\d{1,3}(?:\s*(?:,|&|and)\s*\d{1,3})*)(?:\s*:\s*(?<reason>\S.*))?$/is
/** A question mark is left alone: "ok?" asks, it does not decide. */
const CLOSING_PUNCTUATION = new Set('.!,;:…。！')
const SEPARATORS = new Set(',;')

/**
 * Reads a chat message that is a decision as a whole; undefined for any other text.
 *
 * `actionCount` is how many actions the question covers: the result holds one decision for each, in order. Takes time in proportion to the
 * text, whatever the text: anybody may send one.
 */
export function parseDecisionWords (text: string, actionCount: number): Decision[] | undefined {
  const words = text.trim()
  const bare = words.slice(0, findEnd(words, words.length, CLOSING_PUNCTUATION))
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
  for (const part of splitParts(words)) {
    const groups = (PART.exec(part) ?? PART.exec(part.slice(0, findEnd(part, part.length, CLOSING_PUNCTUATION))))?.groups
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

/** A separator ends a part only where the next part begins, since a reason may hold separators of its own. */
function splitParts (words: string): string[] {
  const parts: string[] = []
  let start = 0
  for (const { index } of words.matchAll(PART_START)) {
    const end = findPartEnd(words, index)
    if (index === 0 || end === undefined) continue
    parts.push(words.slice(start, end))
    start = index
  }
  return [...parts, words.slice(start)]
}

/** Where the part before `index` ends; undefined if nothing separates it from what begins there. */
function findPartEnd (words: string, index: number): number | undefined {
  const gap = findEnd(words, index, new Set())
  const separated = findEnd(words, gap, SEPARATORS)
  if (separated < gap) return separated
  if (/\band$/i.test(words.slice(Math.max(0, gap - 4), gap))) return findEnd(words, gap - 3, SEPARATORS)
  return words.slice(gap, index).includes('\n') ? gap : undefined
}

/** The end of the text before `end` without white space and these characters. */
function findEnd (text: string, end: number, characters: ReadonlySet<string>): number {
  let last = end
  while (last > 0 && (/\s/.test(text.charAt(last - 1)) || characters.has(text.charAt(last - 1)))) last--
  return last
}
