import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { SessionTally } from '../../../src/sessions/postgres/tally.ts'

/** A database that counts up to how often it was asked, and takes its time, or fails. */
function makeTally (tookMs: () => number) {
  const asked = { count: 0, fails: false }
  const query = async <Row extends object>(): Promise<Row[]> => {
    const all = ++asked.count
    await wait(tookMs())
    if (asked.fails) throw new Error('no')
    const rows: object[] = [{ platform: 'web', all, pending: 0 }]
    return Object.assign(new Array<Row>(), rows)
  }
  const tally = new SessionTally({ pool: { query }, cutoffMs: () => 0 })
  return { asked, read: async () => (await tally.read()).counts.get('web')?.all }
}

t.test('where counting is cheap, each count is of the moment', async t => {
  const { read } = makeTally(() => 0)
  t.same([await read(), await read()], [1, 2])
  t.same(await Promise.all([read(), read()]), [3, 4])
})

t.test('where it is dear, those who ask meanwhile and soon after share one', async t => {
  const { read, asked } = makeTally(() => 60)
  await read()
  t.same(await Promise.all([read(), read(), read()]), [2, 2, 2])
  t.equal(await read(), 2)
  t.equal(asked.count, 2)
})

t.test('one that fails is not shared with those who come later, and one that is cheap again ends the sharing', async t => {
  let tookMs = 60
  const { read, asked } = makeTally(() => tookMs)
  await read()
  asked.fails = true
  await t.rejects(read(), { code: 'STORE_UNAVAILABLE' })
  asked.fails = false
  tookMs = 0
  t.same([await read(), await read()], [3, 4])
})
