import fc from 'fast-check'
import t from 'tap'
import { createRowFormatter, parseRecords } from '../../../src/sessions/csv/codec.ts'
import { COLUMNS, parseHeader } from '../../../src/sessions/csv/header.ts'
import { formatJsonObject, parseJsonObject } from '../../../src/sessions/csv/json.ts'
import { checkSession, formatCells, parseRow, readOwnRow, RowError } from '../../../src/sessions/csv/row.ts'
import { cutOwnLine, formatLine, RowFormatter } from '../../../src/sessions/csv/row-text.ts'
import { scanLine } from '../../../src/sessions/csv/scan.ts'
import { formatTime, parseTime } from '../../../src/sessions/csv/time.ts'
import type { Session } from '../../../src/sessions/session.ts'
import { makeSession, START_MS } from '../../fixtures/sessions.ts'

const NASTY = ['"', '""', ',', '\r', '\n', '\r\n', '\0', '\uFEFF', '\ud800', '\udc00', '=', '+', '-', '@', '\t', ' ', '|', '\u2028', '\u2029', '\u0085', '\u007f', '\v', ';', 'é', '🚀', 'a']
const nastyText = fc.array(fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: 'binary' })), { maxLength: 8 }).map((parts) => parts.join(''))
const formatRow = createRowFormatter()
const extraColumns = ['note', '']
const formatter = new RowFormatter(extraColumns)
const header = parseHeader('sessions.csv', [...COLUMNS, ...extraColumns])

const session: fc.Arbitrary<Session> = fc.record({
  sessionId: fc.stringMatching(/^[A-Za-z0-9._:-]{1,20}$/),
  userId: fc.oneof(nastyText, fc.constantFrom('a', '"', ' b, ').chain((start) => fc.constantFrom('|"', 'é', '🚀', '\uFEFF').map((end) => start + end))),
  platform: fc.constantFrom('telegram', 'api', 'x-1'),
  threadId: fc.stringMatching(/^[A-Za-z0-9._:-]{1,20}$/),
  createdAtMs: fc.integer({ min: Date.parse('0000-01-01T00:00:00Z'), max: Date.parse('9999-12-31T23:59:59.999Z') }),
  lastActivityMs: fc.integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') }),
  pendingApproval: fc.option(fc.dictionary(nastyText, nastyText)),
  metadata: fc.dictionary(nastyText, fc.jsonValue()),
  extra: fc.record({ note: nastyText, '': fc.constantFrom('', '"', '=1', ' ', '\uFEFF') })
}).map((fields) => ({ ...fields, metadata: JSON.parse(JSON.stringify(fields.metadata)) }))

t.test('whatever is not refused comes back from its line as it was, and from the same line again', async (t) => {
  let accepted = 0
  await fc.assert(fc.asyncProperty(fc.array(session, { minLength: 1, maxLength: 8 }), async (sessions) => {
    const good = sessions.filter((one) => {
      try {
        checkSession(one, extraColumns)
        return true
      } catch (error) {
        if (error instanceof RowError) return false
        throw error
      }
    })
    if (good.length === 0) return
    accepted += good.length
    const lines = good.map((one) => formatRow(formatCells(one, extraColumns)))
    t.same(good.map((one) => formatLine({ session: one, row: formatter.prepare(one) })), lines)
    const stored = lines.map((line) => Buffer.from(line).toString())
    for (const line of stored) t.notMatch(line, /[\r\n\u2028\u2029\u0085\0]/)
    const rows = await parseRecords(stored)
    const read = rows.map((cells) => parseRow(cells ?? [], header, () => 'fresh'))
    t.strictSame(read.map(plain), good.map(plain))
    t.same(read.map((one) => formatRow(formatCells(one, extraColumns))), lines)
  }), { numRuns: 500 })
  t.ok(accepted > 50, `${accepted} sessions were not refused`)
})

t.test('a line in our own form is written back as it is, and lines that we write are in it', async (t) => {
  const ownHeader = parseHeader('sessions.csv', COLUMNS)
  const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), cut: fc.integer({ min: 0, max: 3 }), put: fc.constantFrom('', ...NASTY, '"{', '{}', '"{}"', ' {""a"":1}') })
  let plainLines = 0
  let own = 0
  await fc.assert(fc.asyncProperty(session, fc.array(edit, { maxLength: 2 }), async (one, edits) => {
    try {
      checkSession({ ...one, extra: {} }, [])
    } catch {
      return
    }
    const written = formatRow(formatCells(one, []))
    plainLines += Number(readOwnRow(written) === undefined && !/[\s"|]/.test(one.userId) && !one.userId.includes(','))
    const line = edits.reduce((text, { at, cut, put }) => {
      const place = Math.floor(at * text.length)
      return text.slice(0, place) + put + text.slice(place + cut)
    }, written)
    const cells = readOwnRow(line)
    if (cells === undefined) return
    t.strictSame([cells], await parseRecords([line]), 'fast-csv reads the same')
    const { head, tail } = cutOwnLine(line)
    t.equal(head + cells[COLUMNS.indexOf('last_activity')] + tail, line)
    try {
      const read = parseRow(cells, ownHeader, () => 'fresh', { isOwn: true })
      own++
      checkSession(read, [])
      t.equal(formatRow(formatCells(read, [])), line)
    } catch (error) {
      // Of its times and its JSON alone.
      if (!(error instanceof RowError)) throw error
      t.match(error.message, /^(created_at|last_activity|pending_approval|metadata) is not a/)
    }
  }), { numRuns: 3000 })
  t.equal(plainLines, 0, 'each line that we write with a plain user id is in our form')
  t.ok(own > 100, `${own} lines were`)
})

t.test('a session that was written before is written like a new one, whatever changed', async (t) => {
  const one = makeSession({ extra: { note: 'n', '': '' } })
  const before = { session: one, row: formatter.prepare(one) }
  const format = (changed: Session): string => formatLine({ session: changed, row: formatter.prepare(changed, before) })
  const afresh = (changed: Session): string => formatLine({ session: changed, row: formatter.prepare(changed) })
  t.equal(formatter.prepare({ ...one, lastActivityMs: START_MS + 1 }, before), before.row, 'but for a new activity, of which the time alone is new')
  const changes: Array<Partial<Session>> = [
    { lastActivityMs: START_MS + 86_400_000 }, { sessionId: 'other' }, { userId: 'other' }, { platform: 'other' }, { threadId: 'other' },
    { createdAtMs: START_MS - 1 }, { pendingApproval: { a: 1 } }, { metadata: { a: '"' } }, { extra: { note: 'other', '': '' } }
  ]
  for (const change of changes) {
    const changed = { ...one, ...change }
    t.equal(format(changed), afresh(changed))
    t.not(format(changed), format(one), Object.keys(change).join())
  }
  t.throws(() => format({ ...one, lastActivityMs: NaN }), { code: 'REQUEST_INVALID', message: 'last_activity is not a time' })
})

/** Metadata with `__proto__` in it compares by its text. */
function plain (one: Session): unknown[] {
  const cells = formatCells({ ...one, pendingApproval: null, metadata: {} }, extraColumns)
  return [...cells, JSON.stringify(one.pendingApproval), JSON.stringify(one.metadata)]
}

t.test('a record that is not CSV costs no other, wherever in a batch it stands', async (t) => {
  for (const bad of ['"open', '"a"b,c', 'a\rb']) {
    for (const place of [0, 1, 2]) {
      const records = ['a,"b,""c"""', '\uFEFFd, e ', ',']
      records.splice(place, 0, bad)
      const rows: Array<string[] | undefined> = [['a', 'b,"c"'], ['\uFEFFd', ' e '], ['', '']]
      rows.splice(place, 0, undefined)
      t.same(await parseRecords(records), rows)
    }
  }
  t.same(await parseRecords([]), [])
})

t.test('a scan of one line agrees with fast-csv about its cells and its quotes', async (t) => {
  const text = fc.array(fc.constantFrom('"', '"', ',', ',', ' ', 'a', '\uFEFF', '\t'), { minLength: 1, maxLength: 12 }).map((parts) => parts.join(''))
  await fc.assert(fc.asyncProperty(text.filter((line) => line.trim() !== ''), async (line) => {
    const { cells, isOpen, isMalformed } = scanLine(line)
    const [row] = await parseRecords([line])
    t.equal(row?.length, isOpen || isMalformed ? undefined : cells, JSON.stringify(line))
  }), { numRuns: 2000 })
})

t.test('JSON that was read is written back verbatim, big integers and spaces included', async (t) => {
  const source = '{ "big": 123456789012345678, "e": 1.50E+3, "a":  [1 ,2] }'
  t.equal(formatJsonObject(parseJsonObject(source) ?? {}), source)
  t.equal(formatJsonObject(parseJsonObject('{\n  "a": "x\u2028y\u0085"\r\n}') ?? {}), '{   "a": "x\\u2028y\\u0085" }')
  t.equal(formatJsonObject(parseJsonObject('{ }') ?? {}), '{}')
})

t.test('JSON that is no object is refused, empty text and null are none', async (t) => {
  for (const text of ['[]', '1', '"a"', 'true', '{', '{a:1}', 'NaN']) t.throws(() => parseJsonObject(text), { name: 'SyntaxError' })
  for (const text of ['', ' ', 'null']) t.equal(parseJsonObject(text), null)
  t.throws(() => formatJsonObject({ n: 1n }), { name: 'TypeError' })
})

t.test('JSON that holds __proto__ is inert', async (t) => {
  const source = '{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}'
  const value = parseJsonObject(source) ?? {}
  t.equal(Object.getPrototypeOf(value), Object.prototype)
  t.notOk('polluted' in {})
  t.notOk('polluted' in value)
  t.equal(formatJsonObject(value), source)
})

for (const [text, expected] of [
  ['2025-09-30T10:30:00', '2025-09-30T10:30:00.000Z'],
  ['2025-09-30T10:30:00.123456', '2025-09-30T10:30:00.123Z'],
  ['2025-09-30 10:30:00.1', '2025-09-30T10:30:00.100Z'],
  ['2025-09-30T10:30', '2025-09-30T10:30:00.000Z'],
  ['2025-09-30T10:30:00+02:00', '2025-09-30T08:30:00.000Z'],
  ['2025-09-30T10:30:00.000999-0130', '2025-09-30T12:00:00.000Z'],
  ['2024-02-29T23:59:59Z', '2024-02-29T23:59:59.000Z']
] as const) {
  t.test(`the time ${text} is ${expected}`, async (t) => {
    t.equal(formatTime(parseTime(text) ?? NaN), expected)
  })
}

for (const text of ['2025-02-30T10:30:00', '2025-13-01T10:30:00', '2025-09-30T24:00:00', '2025-09-30T10:60:00', '2025-09-30', '30/09/2025 10:30', '0', 'now', '2025-09-30T10:30:00X', '0000-01-01T00:00:00+23:00', '2025-09-30T10:30:00+99:00']) {
  t.test(`"${text}" is no time`, async (t) => {
    t.equal(parseTime(text), undefined)
  })
}
