import t from 'tap'
import { PostgresNotes } from '../../../src/agent/postgres/notes.ts'
import { ConversationTables } from '../../../src/agent/postgres/tables.ts'
import { runUnderLease } from '../../../src/turn-lease.ts'
import { testNotes } from '../../contract/notes.ts'
import { PostgresBench } from '../../fixtures/postgres-conversations.ts'
import { PostgresServer } from '../../fixtures/postgres.ts'

const bench = await PostgresBench.open(t, await PostgresServer.start(t))

testNotes(t, async (_t, now) => {
  await bench.clear()
  return new PostgresNotes(new ConversationTables(bench.pool), now)
})

t.test('a lost lease keeps nothing, and removes nothing', async t => {
  await bench.clear()
  const { notes } = bench.conversations
  const lease = await bench.takeLease()
  await runUnderLease(lease, async () => { await notes.put(['n'], 'k', { a: 1 }) })
  await lease.lose()
  const late = [
    async () => { await notes.put(['n'], 'k', { a: 2 }) },
    async () => { await notes.put(['n'], 'l', { a: 2 }) },
    async () => { await notes.delete(['n'], 'k') },
    async () => { await notes.delete(['n'], 'unknown') },
    async () => { await notes.batch([{ namespace: ['n'], key: 'k' }, { namespace: ['n'], key: 'm', value: { a: 2 } }]) }
  ]
  for (const write of late) await t.rejects(runUnderLease(lease, write), { code: 'TURN_TAKEN_OVER', retryAfterSeconds: 5 })
  t.match(await notes.search(['n']), [{ key: 'k', value: { a: 1 } }])
  t.equal((await bench.countRows()).items, 1)
})

t.end()
