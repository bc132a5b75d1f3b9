/** Nesting beyond this serves nobody, and would exhaust the stack of those who walk the value. */
export const MAX_DEPTH = 100

/** NUL, half a surrogate pair, and exponents of numbers that JavaScript reads as infinite and writes as null. */
const SUSPECT = /\\u(?:0000|[dD][89a-fA-F])|\0|[eE]\+?\d{3}|\d{300}/

/**
 * What is wrong with a JSON text, parsed as `value`: NUL, a lone surrogate (neither of which every store can keep), a number beyond all bounds,
 * or too deep a nesting. Undefined if nothing is. Walks the value only if the text gives a reason to.
 */
export function findIllFormed (text: string, value: unknown): string | undefined {
  const isDeep = countOpenings(text) > MAX_DEPTH
  if (!isDeep && !SUSPECT.test(text)) return undefined
  const waiting: { readonly path: string, readonly value: unknown, readonly depth: number }[] = [{ path: '', value, depth: 0 }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path, value: current, depth } = next
    if (typeof current === 'string') {
      if (current.includes('\0')) return `${path || 'body'} holds a NUL character`
      if (!current.isWellFormed()) return `${path || 'body'} holds a lone surrogate`
    }
    if (typeof current === 'number' && !Number.isFinite(current)) return `${path || 'body'} holds a number that is too large`
    if (typeof current !== 'object' || current === null) continue
    if (depth >= MAX_DEPTH) return `body is nested deeper than ${MAX_DEPTH} levels`
    for (const [key, child] of Object.entries(current)) {
      if (key.includes('\0') || !key.isWellFormed()) return `${path || 'body'} holds a key with a NUL character or a lone surrogate`
      waiting.push({ path: path === '' ? key : `${path}.${key}`, value: child, depth: depth + 1 })
    }
  }
  return undefined
}

function countOpenings (text: string): number {
  let count = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === 0x5B || code === 0x7B) count++
  }
  return count
}
