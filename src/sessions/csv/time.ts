const ISO_TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?$/

const MIN_MS = Date.parse('0000-01-01T00:00:00.000Z')
const MAX_MS = Date.parse('9999-12-31T23:59:59.999Z')

const DAY_MS = 24 * 60 * 60 * 1000
const ZERO = '0'.charCodeAt(0)
/** Parts of a time of day, ready to be joined: minutes of the day, seconds, milliseconds. */
const TWO_DIGITS = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'))
const MINUTES = Array.from({ length: 24 * 60 }, (_, minute) => `${TWO_DIGITS[Math.floor(minute / 60)]}:${TWO_DIGITS[minute % 60]}:`)
const MILLISECONDS = Array.from({ length: 1000 }, (_, ms) => `.${String(ms).padStart(3, '0')}Z`)

/** The form in which times are written. */
const OWN_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** Reads an ISO 8601 time, UTC unless it says otherwise, as milliseconds since the epoch; undefined if it is none. Cuts off microseconds. */
export function parseTime (text: string): number | undefined {
  if (OWN_TIME.test(text)) {
    const timeMs = parseOnDay(text, text.startsWith(recent[0].text) ? recent[0] : recent[1])
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
  findDay(Math.floor(timeMs / DAY_MS) * DAY_MS)
  return timeMs
}

interface Day { readonly startMs: number, readonly text: string }

/** Two days that were written or read last: nearly all times of a file are of one or two days, and their names are what costs. */
let recent: readonly [Day, Day] = [nameDay(0), nameDay(0)]

/** Writes milliseconds since the epoch as ISO 8601, UTC with milliseconds and `Z`. */
export function formatTime (timeMs: number): string {
  const { startMs, text } = findDay(Math.floor(timeMs / DAY_MS) * DAY_MS)
  const ms = timeMs - startMs
  return `${text}${MINUTES[Math.floor(ms / 60_000)]}${TWO_DIGITS[Math.floor(ms / 1000) % 60]}${MILLISECONDS[ms % 1000]}`
}

/** Whether a time has a form with four digits for the year. */
export function isTime (timeMs: number): boolean {
  return Number.isInteger(timeMs) && timeMs >= MIN_MS && timeMs <= MAX_MS
}

/** A time as part of a file name: `20251122T201500123Z`. */
export function formatFileTime (timeMs: number): string {
  return formatTime(timeMs).replace(/[-:.]/g, '')
}

function findDay (startMs: number): Day {
  const [last, other] = recent
  if (last.startMs === startMs) return last
  if (other.startMs === startMs) return other
  recent = [nameDay(startMs), last]
  return recent[0]
}

function nameDay (startMs: number): Day {
  return { startMs, text: new Date(startMs).toISOString().slice(0, -'hh:mm:ss.mmmZ'.length) }
}

/** Of a time in our own form on this day; undefined of any other. */
function parseOnDay (text: string, { startMs, text: day }: Day): number | undefined {
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
