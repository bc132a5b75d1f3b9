import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { compactSessions } from '../../../src/sessions/admin/compact.ts'
import { makeAdmin } from '../../fixtures/admin.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { NO_REDIS } from '../../fixtures/redis.ts'
import { makeBetween, moveThereAndBack } from '../../fixtures/session-places.ts'

const FIXTURES = ['python-backend.csv', 'seed-example.csv'].map(name => new URL(`../../fixtures/${name}`, import.meta.url))

/** The lines of a file, in an order that does not depend on the store. */
function readSorted (path: string): string[] {
  return readFileSync(path, 'latin1').split('\n').sort()
}

/** The file as the service itself would write it, with all that is in it. */
async function writeOwnForm (folder: string, text: string): Promise<string[]> {
  writeFileSync(join(folder, 'sessions.csv'), text)
  for (const end of ['.journal', '.journal.old']) rmSync(join(folder, `sessions.csv${end}`), { force: true })
  // So far back that nothing has expired.
  await compactSessions(makeAdmin(folder, { timeoutMs: Number.MAX_SAFE_INTEGER, now: () => Date.parse('9999-01-01T00:00:00Z') }))
  return readSorted(join(folder, 'sessions.csv'))
}

const awkward = fc.oneof(
  fc.string({ unit: 'binary' }), fc.constantFrom('', '=1+1', '"', '""', ',', ' a ', 'a\nb', 'a\r\nb', '\u2028', '\u0085', '\ufeff', 'ü', '😀', '\\u0000', 'null')
)
const json = fc.oneof(
  fc.dictionary(fc.oneof(awkward, fc.constant('__proto__')), fc.jsonValue()).map(value => JSON.stringify(value)),
  fc.constantFrom(
    '', '{}', '{ }', 'null', '{"a":  1.0}', '{"a":12345678901234567890,"a":1}', '{"z":"\\u0000","y":"\\ud800"}', '{"requested_at":"2025-01-01T00:00:00Z"}',
    '{"requested_at":"yesterday"}', '{"n":1e400}', ' {"a":1}\t', '{"a":[{"b":null}]}', '{\n"a":1}', '[]', 'nonsense'
  )
)
const time = fc.constantFrom(
  '2025-11-22T20:15:00.123Z', '2025-11-22T20:15:00', '2025-11-22 20:15:00.123456', '0001-01-01T00:00:00.001Z', '9998-12-31T23:59:59.999Z', '1969-12-31T23:59:59.999Z'
)
const row = fc.tuple(
  fc.oneof(awkward, fc.constantFrom('telegram_1', 'discord_2')), fc.constantFrom('telegram', 'discord', ''), time, time, json, json, awkward, awkward
)
const columns = fc.constantFrom(['note', 'tag'], ['7', '1'], ['b', '7'], ['a "b"', 'c,d'], ['__proto__', 'x'])

function quote (cell: string): string {
  return `"${cell.replaceAll('"', '""')}"`
}

for (const kind of ['postgres', 'redis'] as const) {
  t.test(`from a file to ${kind} and back, all lines are the same`, { skip: kind === 'redis' && NO_REDIS }, async t => {
    const between = await makeBetween(t, kind)
    const folder = makeFolder(t)
    const path = join(folder, 'sessions.csv')

    for (const fixture of FIXTURES) {
      const expected = await writeOwnForm(folder, readFileSync(fixture, 'utf8'))
      copyFileSync(fixture, path)
      t.same(readSorted(await moveThereAndBack(path, between)), expected, fixture.pathname)
    }

    await fc.assert(fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 8 }), columns, fc.constantFrom('\n', '\r\n'), async (rows, extra, end) => {
      const header = ['session_id', 'user_id', 'platform', 'thread_id', 'created_at', 'last_activity', 'pending_approval', 'metadata', ...extra]
      const lines = rows.map(([user, platform, created, active, pending, metadata, ...more], index) =>
        [`s-${index}`, user, platform, `t-${index}`, created, active, pending, metadata, ...more])
      const text = [header, ...lines].map(cells => cells.map(quote).join(',') + end).join('')
      const expected = await writeOwnForm(folder, text)
      const hasRows = expected.filter(line => line !== '').length > 1
      writeFileSync(path, text)
      const back = readSorted(await moveThereAndBack(path, between))
      // Of a file without a row, nothing is there that could have the unknown columns.
      if (hasRows) t.same(back, expected)
      rmSync(`${path}.back`, { recursive: true })
    }), { numRuns: 60 })
  })
}
