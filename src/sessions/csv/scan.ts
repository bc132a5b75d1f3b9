/** How a text stands as CSV. */
export interface Scan {
  readonly cells: number
  /** Whether it ends within a quoted cell. */
  readonly isOpen: boolean
  /** Whether something other than white space follows a closing quote. */
  readonly isMalformed: boolean
}

const EMPTY: Scan = { cells: 1, isOpen: false, isMalformed: false }
const SPACE = /\s/

/**
 * Counts the cells of a line and tells whether it ends within quotes, by the grammar of fast-csv: a quote opens a cell only as its first
 * character other than white space.
 *
 * @param before How the lines before it stand, if it continues a quoted cell of theirs.
 */
export function scanLine (text: string, before: Scan = EMPTY): Scan {
  let { cells, isOpen } = before
  let place = 0
  for (;;) {
    if (!isOpen) {
      place = skipSpace(text, place)
      if (text[place] === '"') {
        isOpen = true
        place++
      }
    }
    if (isOpen) {
      place = findClosingQuote(text, place)
      if (place === -1) return { cells, isOpen: true, isMalformed: false }
      isOpen = false
      place = skipSpace(text, place + 1)
      if (place < text.length && text[place] !== ',') return { cells, isOpen: false, isMalformed: true }
    } else {
      const comma = text.indexOf(',', place)
      place = comma === -1 ? text.length : comma
    }
    if (place >= text.length) return { cells, isOpen: false, isMalformed: false }
    cells++
    place++
  }
}

function skipSpace (text: string, from: number): number {
  let place = from
  while (place < text.length && SPACE.test(text.charAt(place))) place++
  return place
}

function findClosingQuote (text: string, from: number): number {
  let place = text.indexOf('"', from)
  while (place !== -1 && text[place + 1] === '"') place = text.indexOf('"', place + 2)
  return place
}
