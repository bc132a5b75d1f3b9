import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'

/** A run of rising numbers: its first and how many there are. */
export type Range = readonly [first: number, count: number]

const Lists = Type.Record(Type.String(), Type.Array(Type.Tuple([Type.Integer(), Type.Integer({ minimum: 1 })])))

/** Which items make up the lists of a checkpoint, by channel. */
export type Lists = Static<typeof Lists>

/** Reads what `JSON.stringify` made of lists; throws if it is something else. */
export function parseLists (text: string): Lists {
  const lists: unknown = JSON.parse(text)
  if (!Value.Check(Lists, lists)) throw new TypeError('The lists of a checkpoint cannot be read')
  return lists
}

/** Numbers in their order, as runs: what only ever grows at its end is one run, however long it gets. */
export function formatRanges (numbers: readonly number[]): Array<[number, number]> {
  const ranges: Array<[number, number]> = []
  let first = 0
  let count = 0
  for (const number of numbers) {
    if (count > 0 && number === first + count) {
      count++
      continue
    }
    if (count > 0) ranges.push([first, count])
    first = number
    count = 1
  }
  if (count > 0) ranges.push([first, count])
  return ranges
}

/** The opposite of `formatRanges`. */
export function parseRanges (ranges: readonly Range[]): number[] {
  const numbers: number[] = []
  for (const [first, count] of ranges) {
    for (let number = first; number < first + count; number++) numbers.push(number)
  }
  return numbers
}

/** What is in `ranges` and not in `kept`, each number once. */
export function subtractRanges (ranges: readonly Range[], kept: readonly Range[]): Range[] {
  const left: Range[] = []
  const holes = merge(kept)
  let next = 0
  for (const [first, count] of merge(ranges)) {
    let start = first
    while (start < first + count) {
      const [from, length] = holes[next] ?? [Infinity, 1]
      if (from + length <= start) next++
      else if (from <= start) start = from + length
      else {
        const end = Math.min(from, first + count)
        left.push([start, end - start])
        start = end
      }
    }
  }
  return left
}

/** In rising order, without overlap. */
function merge (ranges: readonly Range[]): Range[] {
  const merged: Range[] = []
  for (const [first, count] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = merged.at(-1)
    if (last === undefined || first > last[0] + last[1]) merged.push([first, count])
    else merged[merged.length - 1] = [last[0], Math.max(last[1], first + count - last[0])]
  }
  return merged
}
