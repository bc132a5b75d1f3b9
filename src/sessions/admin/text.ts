/** What could move the cursor, recolour, or turn around what stands beside it: controls, line ends, marks of writing direction, half characters. */
const UNSAFE = /[\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu

// The half-width forms of Katakana and Hangul are what their name says.
const WIDE = /^(?![\uff61-\uffdc])(?:[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff01-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation})|\ufe0f/u
const NO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]+$/u

/** Longer cells stand out of their column: one of them must not push all others off the screen. */
const MAX_PADDING = 40

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** Makes a text fit for a terminal, and one line: what is not to be printed stands as `\u001b` instead. */
export function escapeControls (text: string): string {
  return text.replace(UNSAFE, escapeCharacter)
}

/** Writes a value as JSON of the same meaning that is fit for a terminal; over several lines if `indent` is given. */
export function formatJson (value: unknown, indent?: number): string {
  // Within a string the escape is JSON's own. Outside of strings JSON has none of these characters, save the line feeds that `indent` makes.
  return (JSON.stringify(value, null, indent) ?? 'null').replace(UNSAFE, (character) => character === '\n' ? character : escapeCharacter(character))
}

/** How many columns of a terminal a text takes, as near as can be told without asking the terminal. */
export function measureWidth (text: string): number {
  let width = 0
  for (const { segment } of graphemes.segment(text)) width += NO_WIDTH.test(segment) ? 0 : WIDE.test(segment) ? 2 : 1
  return width
}

/** Lays out rows of cells in columns, one line each. Control characters are escaped. */
export function * formatTable (rows: ReadonlyArray<readonly string[]>): Generator<string> {
  const safe = rows.map((row) => row.map(escapeControls))
  const widths: number[] = []
  for (const row of safe) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, Math.min(measureWidth(cell), MAX_PADDING))
  }
  for (const row of safe) {
    const last = row.length - 1
    yield `${row.map((cell, column) => column === last ? cell : pad(cell, widths[column] ?? 0)).join('  ')}\n`
  }
}

/** A duration without a space, so that it is one word to other tools: `45s`, `3m`, `2h05m`, `4d3h`. */
export function formatDuration (durationMs: number): string {
  const ms = Math.max(0, durationMs)
  if (ms < MINUTE_MS) return `${Math.floor(ms / SECOND_MS)}s`
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)}m`
  if (ms < DAY_MS) return `${Math.floor(ms / HOUR_MS)}h${String(Math.floor(ms % HOUR_MS / MINUTE_MS)).padStart(2, '0')}m`
  return `${Math.floor(ms / DAY_MS)}d${Math.floor(ms % DAY_MS / HOUR_MS)}h`
}

/** `1 session`, `2 sessions`; `3 conversations are`. */
export function count (amount: number, one: string, many = `${one}s`): string {
  return `${amount} ${amount === 1 ? one : many}`
}

function pad (cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - measureWidth(cell)))
}

function escapeCharacter (character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
