import t, { type Test } from 'tap'
import { RedisConnection } from '../../src/redis/client.ts'
import { checkServer } from '../../src/redis/server-check.ts'
import { NO_REDIS, RedisServer } from '../fixtures/redis.ts'
import { makeLog } from '../fixtures/sessions.ts'

/** The warnings about a server that is started with these settings. */
async function check (
  t: Test, settings: readonly string[], before: (connection: RedisConnection) => Promise<unknown> = async () => {}
): Promise<string[]> {
  const server = await RedisServer.start(t, settings)
  const log = makeLog()
  const connection = new RedisConnection({ url: server.addressOf(0), log })
  t.after(() => connection.close())
  await connection.open()
  await before(connection)
  await checkServer(connection.client, log)
  return log.lines
}

t.test('a server that keeps each change on its disk, and evicts none, is used without a word', { skip: NO_REDIS }, async t => {
  t.same(await check(t, []), [])
})

t.test('one that may evict is warned about by the name of the setting', { skip: NO_REDIS }, async t => {
  t.match(await check(t, ['--maxmemory-policy', 'allkeys-lru']), [/^warn: Redis: maxmemory-policy is allkeys-lru: .*evicted.*noeviction/])
})

for (const [settings, words] of [
  [['--appendonly', 'no'], /appendonly is no and save is off: nothing is on its disk, and a restart of it forgets every session/],
  [['--appendonly', 'no', '--save', '3600 1'], /appendonly is no: a crash of it loses .*last snapshot/],
  [['--appendfsync', 'everysec'], /appendfsync is everysec: a power cut loses the last second/],
  [['--appendfsync', 'no'], /appendfsync is no: a power cut loses the last half a minute/],
  [['--no-appendfsync-on-rewrite', 'yes'], /no-appendfsync-on-rewrite is yes/]
] as const) {
  t.test(`one with ${settings.join(' ')} is warned about, saying what is lost`, { skip: NO_REDIS }, async t => {
    t.match(await check(t, settings), [words])
  })
}

t.test('one that does not allow CONFIG is said not to tell', { skip: NO_REDIS }, async t => {
  const lines = await check(t, [], async ({ client }) => await client.call('ACL', 'SETUSER', 'default', '-config'))
  t.match(lines, [/appendfsync cannot be told, since CONFIG is not allowed/])
})

for (const rights of [['~other:*', '+@all'], ['~*', '+@all', '-eval']]) {
  t.test(`one whose user has no more rights than ${rights.join(' ')} is refused, saying what is needed`, { skip: NO_REDIS }, async t => {
    const checked = check(t, [], async ({ client }) => {
      await client.call('ACL', 'SETUSER', 'small', 'on', '>secret', ...rights)
      await client.call('AUTH', 'small', 'secret')
    })
    await t.rejects(checked, { code: 'STORE_UNREACHABLE', message: /^Redis cannot be used: the user in REDIS_URL may not do what is needed: it needs scripts/ })
  })
}

t.test('a replica is refused', { skip: NO_REDIS }, async t => {
  const primary = await RedisServer.start(t)
  await t.rejects(check(t, ['--replicaof', '127.0.0.1', String(primary.port)]), { code: 'SETTING_INVALID', message: /^REDIS_URL names a replica/ })
})

t.test('a node of a cluster is refused, saying what to use', { skip: NO_REDIS }, async t => {
  const isOfCluster = check(t, ['--cluster-enabled', 'yes', '--appendonly', 'no'])
  await t.rejects(isOfCluster, { code: 'SETTING_INVALID', message: /^REDIS_URL names a node of a Redis Cluster.*single primary/ })
})

for (const version of ['6.2.14', '5.0.0', '', 'x']) {
  t.test(`a server of version "${version}" is refused`, async t => {
    const client = { info: async () => `redis_version:${version}\r\nrole:master\r\n`, config: async () => [], eval: async () => 0 }
    await t.rejects(checkServer(client, makeLog()), { code: 'SETTING_INVALID', message: /7 or newer/ })
  })
}
