import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ConversationFile } from '../src/agent/checkpointer.ts'
import { MovedClock } from '../src/agent/move/clock.ts'
import { parseMoveAddress } from '../src/move-address.ts'
import { openCsvPlace } from '../src/move-csv.ts'
import type { MovePlace } from '../src/move-place.ts'
import { moveAll } from '../src/move.ts'
import { realFiles } from '../src/sessions/csv/files.ts'
import { CsvSessionStore } from '../src/sessions/csv/store.ts'
import type { RecordBatches } from '../src/sessions/move/place.ts'
import type { SessionRecord } from '../src/sessions/kept-session.ts'
import { HEADER } from './fixtures/admin.ts'
import { makeFolder } from './fixtures/folder.ts'
import { fill } from './fixtures/moved-conversations.ts'
import { makeLog, START_MS } from './fixtures/sessions.ts'

const ROWS = ['a', 'b', 'c'].map(id => `${id},telegram_${id},telegram,t-${id},2025-11-22T20:15:00.123Z,2025-11-22T20:15:00.123Z,,{}\n`)

function makeSource (t: Test): string {
  return makeFolder(t, { 'sessions.csv': `${HEADER}\n${ROWS.join('')}` })
}

async function openPlace (path: string, role: 'source' | 'target', clock: MovedClock): Promise<MovePlace> {
  const address = parseMoveAddress(`csv:${path}`, { path, ownConversationsPath: undefined, databaseUrl: undefined, redisUrl: undefined })
  if (address.kind !== 'csv') throw new TypeError('It is a file')
  return await openCsvPlace(address, role, realFiles, clock.now)
}

/** A place whose n-th step towards a whole move fails. */
function failAt (place: MovePlace, n: number): MovePlace {
  let steps = 0
  const step = (): void => { if (++steps === n) throw new Error(`step ${n}`) }
  const guard = <T extends object>(object: T, names: readonly string[]): T => new Proxy(object, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (typeof name === 'string' && names.includes(name)) step()
        return Reflect.apply(value, target, args)
      }
    }
  })
  return {
    ...place,
    notes: place.notes,
    sessions: guard(place.sessions, ['mark', 'write', 'unmark']),
    openConversations: async () => {
      step()
      const opened = await place.openConversations()
      if (opened === undefined) return undefined
      const checkpointer = guard(opened.checkpointer, ['put'])
      const [writes, notes] = [guard(opened.writes, ['put']), guard(opened.notes, ['put'])]
      return new Proxy(opened, {
        get: (target, name) => {
          if (name === 'checkpointer') return checkpointer
          if (name === 'writes') return writes
          if (name === 'notes') return notes
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        }
      })
    }
  }
}

t.test('a move that fails at any step leaves a target on which nobody starts, and goes on from there', async t => {
  const folder = makeSource(t)
  const clock = new MovedClock(() => 0)
  const file = await ConversationFile.open({ path: join(folder, 'conversations.sqlite'), now: clock.now })
  await fill(file, clock)
  await file.close()
  const tell = (): void => {}
  let failures = 0
  for (let n = 1; ; n++) {
    const path = join(folder, `to-${n}/sessions.csv`)
    const attempt = async (wrap: (place: MovePlace) => MovePlace) => {
      const moved = new MovedClock(() => 0)
      const source = await openPlace(join(folder, 'sessions.csv'), 'source', new MovedClock(() => 0))
      const target = await openPlace(path, 'target', moved)
      try {
        return await moveAll({ source, target: wrap(target), clock: moved, tell })
      } finally {
        await target.close()
        await source.close()
      }
    }
    const start = async (): Promise<void> => {
      const store = new CsvSessionStore({ path, timeoutMs: 3_600_000, fsync: 'never', now: () => START_MS, log: makeLog() })
      await store.open()
      await store.close()
    }
    const outcome = await attempt(place => failAt(place, n)).catch((error: unknown) => error)
    if (!(outcome instanceof Error)) {
      t.match(outcome, { isVerified: true })
      break
    }
    failures++
    t.equal(outcome.message, `step ${n}`)
    // Before the mark there is nothing there.
    if (existsSync(`${path}.moving`)) await t.rejects(start(), { code: 'FILE_INVALID' })
    t.match(await attempt(place => place), { isVerified: true, conversations: { target: { threads: 3, notes: { count: 4 } } } })
    await t.resolves(start())
  }
  t.ok(failures > 10)
})

t.test('a session that the target lost is told, and the mark stays', async t => {
  const folder = makeSource(t)
  const clock = new MovedClock(() => 0)
  const source = await openPlace(join(folder, 'sessions.csv'), 'source', clock)
  const path = join(folder, 'to/sessions.csv')
  const target = await openPlace(path, 'target', clock)
  const { write } = target.sessions
  target.sessions.write = async (batches, columns) => { await write.call(target.sessions, withoutFirst(batches), columns) }
  const report = await moveAll({ source, target, clock, tell: () => {} })
  t.match(report, { isVerified: false, sessions: { source: { count: 3 }, target: { count: 2 } } })
  t.ok(existsSync(`${path}.moving`))
  await target.close()
  const again = await openPlace(path, 'target', clock)
  t.match(await moveAll({ source, target: again, clock, tell: () => {} }), { isVerified: true, isResumed: true })
  t.notOk(existsSync(`${path}.moving`))
  await again.close()
  await source.close()
})

async function * withoutFirst (batches: RecordBatches): AsyncGenerator<readonly SessionRecord[]> {
  for await (const records of batches) yield records.slice(1)
}
