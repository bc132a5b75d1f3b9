import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { ConversationFile } from '../../../src/agent/checkpointer.ts'
import type { Conversations } from '../../../src/agent/conversations.ts'
import { MovedClock } from '../../../src/agent/move/clock.ts'
import { copyConversations, isPartOf, sumConversations } from '../../../src/agent/move/conversations.ts'
import { openPostgresConversations } from '../../../src/agent/postgres/open.ts'
import { openRedisConversations } from '../../../src/agent/redis/open.ts'
import { threadConfig, putValues } from '../../fixtures/checkpoints.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { dump, fill } from '../../fixtures/moved-conversations.ts'
import { NO_REDIS } from '../../fixtures/redis.ts'
import { openPostgres, openRedis } from '../../fixtures/session-places.ts'
import { makeLog } from '../../fixtures/sessions.ts'

const step = (): void => {}
const makeMovedClock = (): MovedClock => new MovedClock(() => 0)

async function openFile (t: Test, folder: string, name: string, clock: MovedClock): Promise<ConversationFile> {
  const file = await ConversationFile.open({ path: join(folder, name), now: clock.now })
  t.after(async () => { await file.close() })
  return file
}

const SERVERS: Record<string, (t: Test, clock: MovedClock) => Promise<Conversations>> = {
  postgres: async (t, { now }) => await openPostgresConversations({ pool: await openPostgres(t), now, log: makeLog() }),
  redis: async (t, { now }) => await openRedisConversations({ connection: await openRedis(t), now })
}

for (const [kind, open] of Object.entries(SERVERS)) {
  t.test(`from a file to ${kind} and back, all of it is the same`, { skip: kind === 'redis' && NO_REDIS }, async t => {
    const folder = makeFolder(t)
    const [clock, there, back] = [makeMovedClock(), makeMovedClock(), makeMovedClock()]
    const file = await openFile(t, folder, 'from.sqlite', clock)
    const server = await open(t, there)
    const copy = await openFile(t, folder, 'back.sqlite', back)
    await fill(file, clock)

    const moved = await copyConversations(file, server, there, step)
    t.match(moved, { threads: 3, checkpoints: { count: 8 }, notes: { count: 4 }, unreadable: [], left: 1, skipped: 0 })
    t.match(await sumConversations(server, step), { checkpoints: moved.checkpoints, notes: moved.notes, left: 0 })
    t.match(await copyConversations(server, copy, back, step), { checkpoints: moved.checkpoints, notes: moved.notes })

    const [before, after] = [dump(join(folder, 'from.sqlite')), dump(join(folder, 'back.sqlite'))]
    t.same(after.writes, before.writes)
    t.same(after.notes, before.notes)
    const isKept = (row: unknown): boolean => !(Array.isArray(row) && row[0] === 'c-forked')
    t.same(after.checkpoints?.filter(isKept), before.checkpoints?.filter(isKept))
    t.same(after.items?.filter(isKept), before.items?.filter(isKept))
    t.equal((await copy.checkpointer.getTuple(threadConfig('c-forked')))?.checkpoint.channel_values.text, 'right')
  })

  t.test(`moved to ${kind} once more: what is the same is skipped, what is not is put right, what has gone goes`, { skip: kind === 'redis' && NO_REDIS }, async t => {
    const clock = makeMovedClock()
    const there = makeMovedClock()
    const file = await openFile(t, makeFolder(t), 'from.sqlite', clock)
    const server = await open(t, there)
    await fill(file, clock)
    await copyConversations(file, server, there, step)
    t.ok(await isPartOf(server, file))
    t.match(await copyConversations(file, server, there, step), { skipped: 7 })

    await putValues(file.checkpointer, { text: 'news' }, threadConfig('b-waiting'))
    await file.deleteThread('a-long')
    await file.notes.delete(['notes'], 'k')
    await file.notes.put(['notes'], 'j', { text: 'another' })
    // Half of a thread, as a killed run leaves it; and a thread of which the source knows nothing.
    await server.deleteThread('c-forked')
    await putValues(server.checkpointer, { text: 'one' }, threadConfig('c-forked'))
    await putValues(server.checkpointer, { text: 'stray' }, threadConfig('stray'))
    t.notOk(await isPartOf(server, file))
    const { checkpoints, notes, skipped } = await copyConversations(file, server, there, step)
    t.equal(skipped, 2)
    t.match(await sumConversations(server, step), { threads: 2, checkpoints, notes })
  })
}

t.test('a thread that cannot be read stays behind, is named, and costs no other', async t => {
  const folder = makeFolder(t)
  const clock = makeMovedClock()
  const from = await openFile(t, folder, 'from.sqlite', clock)
  await fill(from, clock)
  await from.close()
  const db = new Database(join(folder, 'from.sqlite'))
  db.prepare("UPDATE thread_checkpoints SET body = 'nonsense' WHERE thread_id = 'a-long'").run()
  db.close()
  const file = await openFile(t, folder, 'from.sqlite', clock)
  const there = makeMovedClock()
  const to = await openFile(t, folder, 'to.sqlite', there)
  const { threads, unreadable, checkpoints } = await copyConversations(file, to, there, step)
  t.same([threads, unreadable], [2, ['a-long']])
  t.match(await sumConversations(to, step), { threads: 2, unreadable: [], checkpoints })
})

t.test('a place that fails ends the move with its error', async t => {
  const folder = makeFolder(t)
  const clock = makeMovedClock()
  const from = await openFile(t, folder, 'from.sqlite', clock)
  await fill(from, clock)
  const to = await openFile(t, folder, 'to.sqlite', clock)
  await to.close()
  await t.rejects(copyConversations(from, to, clock, step), { code: 'CONVERSATIONS_UNAVAILABLE' })
})
