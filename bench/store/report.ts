import type { Plan } from './plan.ts'

/** A number to reach, and what came out. */
export interface Aim {
  readonly what: string
  readonly value: number
  readonly unit: string
  readonly bound: { readonly atLeast: number } | { readonly atMost: number }
}

/** What every part is given: how much to measure, and where. */
export interface Bench {
  readonly plan: Plan
  readonly dir: string
}

/** Prints a table under a title: the first column to the left, the others to the right. */
export function printTable (title: string, head: readonly string[], rows: ReadonlyArray<readonly string[]>): void {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0)))
  const lines = all.map(row => row.map((cell, column) => column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)).join('  '))
  console.log(`\n${title}\n\n${lines.join('\n')}`)
}

export function printAims (title: string, aims: readonly Aim[]): void {
  const rows = aims.map(({ what, value, unit, bound }) => {
    const text = 'atLeast' in bound ? `at least ${bound.atLeast}` : `at most ${bound.atMost}`
    const isMet = 'atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost
    if (Number.isNaN(value)) return [what, '', `${text}${unit}`, 'not measured']
    return [what, `${formatNumber(value)}${unit}`, `${text}${unit}`, isMet ? 'met' : 'NOT MET']
  })
  printTable(title, ['', 'measured', 'aim', ''], rows)
}

/** Three digits that say something, thousands apart. */
export function formatNumber (value: number): string {
  if (!Number.isFinite(value)) return '-'
  const digits = Number.isInteger(value) || Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toFixed(digits).replace(/\B(?=(\d{3})+$)/g, ' ')
}

/** As `median of 3 rounds`. */
export function formatRounds (rounds: number): string {
  return rounds === 1 ? 'one round' : `median of ${rounds} rounds`
}

export function formatMs (value: number): string {
  return `${formatNumber(value)} ms`
}
