const ISO_TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?$/

const MIN_MS = Date.parse('0000-01-01T00:00:00.000Z')
const MAX_MS = Date.parse('9999-12-31T23:59:59.999Z')

const DAY_MS = 24 * 60 * 60 * 1000
const ZERO = '0'.charCodeAt(0)
const TWO_DIGITS = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'))

/** The form in which times are written. */
const OWN_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** Reads an ISO 8601 time, UTC unless it says otherwise, as milliseconds since the epoch; undefined if it is none. Cuts off microseconds. */
export function parseTime (text: string): number | undefined {
  if (OWN_TIME.test(text)) {
    const timeMs = parseOnLastDay(text)
    if (timeMs !== undefined) return timeMs
  }
  const [, day, minute, second = '00', fraction = '', zone = 'Z'] = ISO_TIME.exec(text) ?? []
  if (day === undefined || minute === undefined) return undefined
  const local = `${day}T${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}`
  const localMs = Date.parse(`${local}Z`)
  // It turns February 30 into March 2, and hour 24 into the next day.
  if (new Date(localMs).getUTCDate() !== Number(day.slice(8))) return undefined
  const timeMs = zone === 'Z' ? localMs : Date.parse(`${local}${zone.slice(0, 3)}:${zone.slice(-2)}`)
  if (!isTime(timeMs)) return undefined
  const startMs = Math.floor(timeMs / DAY_MS) * DAY_MS
  if (startMs !== lastDay.startMs) lastDay = nameDay(startMs)
  return timeMs
}

/** The day that was written or read last: nearly all times of a file are of one day, and its name is what costs. */
let lastDay = nameDay(0)

/** Writes milliseconds since the epoch as ISO 8601, UTC with milliseconds and `Z`. */
export function formatTime (timeMs: number): string {
  const startMs = Math.floor(timeMs / DAY_MS) * DAY_MS
  if (startMs !== lastDay.startMs) lastDay = nameDay(startMs)
  const ms = timeMs - startMs
  return lastDay.text + TWO_DIGITS[Math.floor(ms / 3_600_000)] + ':' + TWO_DIGITS[Math.floor(ms / 60_000) % 60] + ':' +
    TWO_DIGITS[Math.floor(ms / 1000) % 60] + '.' + String(ms % 1000).padStart(3, '0') + 'Z'
}

/** Whether a time has a form with four digits for the year. */
export function isTime (timeMs: number): boolean {
  return Number.isInteger(timeMs) && timeMs >= MIN_MS && timeMs <= MAX_MS
}

/** A time as part of a file name: `20251122T201500123Z`. */
export function formatFileTime (timeMs: number): string {
  return formatTime(timeMs).replace(/[-:.]/g, '')
}

function nameDay (startMs: number): { readonly startMs: number, readonly text: string } {
  return { startMs, text: new Date(startMs).toISOString().slice(0, -'hh:mm:ss.mmmZ'.length) }
}

/** Of a time in our own form on the day that was written or read last; undefined of any other. */
function parseOnLastDay (text: string): number | undefined {
  const { startMs, text: day } = lastDay
  if (!text.startsWith(day)) return undefined
  const start = day.length
  const hour = readDigits(text, start, 2)
  const minute = readDigits(text, start + 3, 2)
  const second = readDigits(text, start + 6, 2)
  if (hour > 23 || minute > 59 || second > 59) return undefined
  return startMs + ((hour * 60 + minute) * 60 + second) * 1000 + readDigits(text, start + 9, 3)
}

function readDigits (text: string, start: number, count: number): number {
  let number = 0
  for (let place = start; place < start + count; place++) number = number * 10 + text.charCodeAt(place) - ZERO
  return number
}
