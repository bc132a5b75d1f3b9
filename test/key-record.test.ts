import t from 'tap'
import { addKeyRecord, findKeyRecord, makeKeyRecord } from '../src/key-record.ts'
import { KEY_LIFE_MS } from '../src/message-key.ts'
import { MAX_METADATA_BYTES, mergeMetadata, showMetadata } from '../src/sessions/metadata.ts'
import type { JsonObject } from '../src/sessions/session.ts'
import { START_MS } from './fixtures/sessions.ts'

const key = (hash: string) => ({ hash, bodyHash: undefined })

t.test('a record is found for as long as its key counts, and clients see nothing of it', async t => {
  const metadata = addKeyRecord({ a: 1 }, { key: 'k', at: START_MS, message_id: 'm' })
  t.match(findKeyRecord(metadata, key('k'), START_MS + KEY_LIFE_MS - 1), { message_id: 'm' })
  t.equal(findKeyRecord(metadata, key('k'), START_MS + KEY_LIFE_MS), undefined)
  t.equal(findKeyRecord(metadata, key('other'), START_MS), undefined)
  t.same(showMetadata(metadata), { a: 1 })
})

t.test('records are few: those that count no longer go, and the oldest of too many', async t => {
  let metadata: JsonObject = addKeyRecord({ holdline: { other: 1 } }, { key: 'stale', at: START_MS - KEY_LIFE_MS })
  for (let index = 0; index < 20; index++) metadata = addKeyRecord(metadata, { key: String(index), at: START_MS })
  t.equal(findKeyRecord(metadata, key('3'), START_MS), undefined)
  t.ok(findKeyRecord(metadata, key('4'), START_MS))
  t.notMatch(JSON.stringify(metadata), 'stale')
  t.match(metadata, { holdline: { other: 1 } }, 'what else the service keeps stays')
})

t.test('what a file holds in their place is no record', async t => {
  for (const holdline of [1, [], { keys: 1 }, { keys: [{ key: 'k' }] }]) t.equal(findKeyRecord({ holdline }, key('k'), START_MS), undefined)
})

t.test('they do not count as the client\'s metadata', async t => {
  const metadata = addKeyRecord({}, { key: 'k', at: START_MS })
  t.ok(mergeMetadata(metadata, { text: 'x'.repeat(MAX_METADATA_BYTES - 20) }))
})

t.test('a key that was made for one body is refused with another, and one that comes with any is not', async t => {
  const made = { hash: 'k', bodyHash: 'a'.repeat(64) }
  const metadata = addKeyRecord({}, makeKeyRecord(made, START_MS, 'm'))
  t.match(findKeyRecord(metadata, made, START_MS), { message_id: 'm' })
  t.throws(() => findKeyRecord(metadata, { ...made, bodyHash: 'b'.repeat(64) }, START_MS), { code: 'IDEMPOTENCY_KEY_REUSED' })
  t.match(findKeyRecord(metadata, key('k'), START_MS), { message_id: 'm' })
  const older = addKeyRecord({}, { key: 'k', at: START_MS })
  t.match(findKeyRecord(older, made, START_MS), { key: 'k' }, 'a record of an earlier version')
})
