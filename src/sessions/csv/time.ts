const ISO_TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?$/

const MIN_MS = Date.parse('0000-01-01T00:00:00.000Z')
const MAX_MS = Date.parse('9999-12-31T23:59:59.999Z')

/** Reads an ISO 8601 time, UTC unless it says otherwise, as milliseconds since the epoch; undefined if it is none. Cuts off microseconds. */
export function parseTime (text: string): number | undefined {
  const [, day, minute, second = '00', fraction = '', zone = 'Z'] = ISO_TIME.exec(text) ?? []
  if (day === undefined || minute === undefined) return undefined
  const local = `${day}T${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}`
  const localMs = Date.parse(`${local}Z`)
  // It turns February 30 into March 2, and hour 24 into the next day.
  if (new Date(localMs).getUTCDate() !== Number(day.slice(8))) return undefined
  const timeMs = zone === 'Z' ? localMs : Date.parse(`${local}${zone.slice(0, 3)}:${zone.slice(-2)}`)
  return isTime(timeMs) ? timeMs : undefined
}

/** Writes milliseconds since the epoch as ISO 8601, UTC with milliseconds and `Z`. */
export function formatTime (timeMs: number): string {
  return new Date(timeMs).toISOString()
}

/** Whether a time has a form with four digits for the year. */
export function isTime (timeMs: number): boolean {
  return Number.isInteger(timeMs) && timeMs >= MIN_MS && timeMs <= MAX_MS
}

/** A time as part of a file name: `20251122T201500123Z`. */
export function formatFileTime (timeMs: number): string {
  return formatTime(timeMs).replace(/[-:.]/g, '')
}
