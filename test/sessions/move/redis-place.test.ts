import t from 'tap'
import { RedisSessionPlace } from '../../../src/sessions/move/redis-place.ts'
import { openReplica } from '../../fixtures/redis-sessions.ts'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'
import { makeSession } from '../../fixtures/sessions.ts'

t.test('a hash that lost a field stays behind, and is told of; the others go', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { store, connection } = await openReplica(t, server)
  for (const sessionId of ['a', 'b', 'c', 'd']) await store.create(makeSession({ sessionId }))
  await connection.client.hdel('{holdline}:session:b', 'user_id')
  await connection.client.del('{holdline}:session:c')
  const place = new RedisSessionPlace(connection, 60_000)
  const read: string[] = []
  for await (const records of place.read()) read.push(...records.map(({ sessionId }) => sessionId))
  t.same(read, ['a', 'd'])
  t.match(place.notes, [/only the places are left: 1$/, /lack a field, .* stay behind: 1$/])
  t.same([...(await place.find(['a', 'b', 'c'])).keys()], ['a'])
})
