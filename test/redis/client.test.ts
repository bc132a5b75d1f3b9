import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { RedisConnection, type RedisConnectionOptions } from '../../src/redis/client.ts'
import { runUnderLease } from '../../src/turn-lease.ts'
import { TestLease } from '../fixtures/lease.ts'
import { findPort } from '../fixtures/postgres.ts'
import { NO_REDIS, RedisServer } from '../fixtures/redis.ts'
import { makeLog, type KeptLog } from '../fixtures/sessions.ts'

const ECHO = 'return ARGV[1]'
const WRITE = "return redis.call('SET', '{holdline}:test', ARGV[1])"

function makeConnection (t: Test, url: string, options: Partial<RedisConnectionOptions> = {}): { connection: RedisConnection, log: KeptLog } {
  const log = makeLog()
  const connection = new RedisConnection({ url, log, ...options })
  t.after(() => connection.close())
  return { connection, log }
}

t.test('scripts run by their text first and by their hash from then on, in the order of the calls', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { connection } = makeConnection(t, server.addressOf(3))
  await connection.open()
  t.same(connection.status(), { canSave: true })
  const append = "return redis.call('APPEND', '{holdline}:test', ARGV[1])"
  await Promise.all([connection.run(append, 'a'), connection.run(WRITE, 'b'), connection.run(append, 'c'), connection.run(append, 'd')])
  t.equal(await connection.client.get('{holdline}:test'), 'bcd')
  const before = connection.commandCount
  t.equal(await connection.run(append, 'ü'), 5)
  t.equal(connection.commandCount, before + 1)
  await connection.client.script('FLUSH')
  t.equal(await connection.read(ECHO, 'x'), 'x')
  t.equal(await connection.run(append, 'e'), 6)
})

t.test('the clock is the server\'s', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { connection } = makeConnection(t, server.addressOf(0))
  await connection.open()
  t.ok(Math.abs(connection.clock.now() - Date.now()) < 1000)
  t.ok(Number.isInteger(connection.clock.now()))
})

t.test('a start waits for a server that comes late, and says in one line that none came', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  await server.stop()
  const late = makeConnection(t, server.addressOf(0))
  const opened = late.connection.open()
  await server.start()
  await opened
  const never = makeConnection(t, `redis://:secret@127.0.0.1:${await findPort()}`, { connectForMs: 300 })
  await t.rejects(never.connection.open(), { code: 'STORE_UNREACHABLE', message: /^Redis cannot be reached: nothing listens there\. Check REDIS_URL.*$/ })
  t.equal(never.connection.status().canSave, false)
  t.same(never.log.lines.filter(line => line.startsWith('warn: ')), ['warn: Redis does not answer yet: nothing listens there; waiting up to 0 s for it'], 'once')
})

t.test('a wrong password ends a start at once, and is not said', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t, ['--requirepass', 'right'])
  for (const [address, words] of [[':wrong@', /refuses the name or the password/], ['', /wants a password/]] as const) {
    const { connection } = makeConnection(t, `redis://${address}127.0.0.1:${server.port}`)
    await t.rejects(connection.open(), { code: 'STORE_UNREACHABLE', message: words })
  }
  const { connection } = makeConnection(t, `redis://:right@127.0.0.1:${server.port}`)
  await connection.open()
})

t.test('a server that speaks no TLS is named as such', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { connection } = makeConnection(t, `rediss://127.0.0.1:${server.port}`, { connectForMs: 1000, commandTimeoutMs: 500 })
  await t.rejects(connection.open(), { code: 'STORE_UNREACHABLE', message: /Check REDIS_URL, and that the server runs and speaks TLS$/ })
})

for (const url of ['redis://', 'nonsense', 'redis://h/abc', 'redis://a%zz:b@h']) {
  t.test(`the address ${url} is refused by the name of the setting`, async t => {
    t.throws(() => new RedisConnection({ url, log: makeLog() }), { code: 'SETTING_INVALID', message: /^REDIS_URL / })
  })
}

t.test('a server that stops is told by the status, fails commands soon, and is found again', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { connection, log } = makeConnection(t, server.addressOf(0), { commandTimeoutMs: 300 })
  await connection.open()
  await connection.run(WRITE, 'kept')
  const isLost = once(connection.client, 'close')
  await server.stop('SIGKILL')
  await t.rejects(connection.run(WRITE, 'lost'))
  await isLost
  t.match(connection.status(), { canSave: false, reason: /^Redis: / })
  await t.rejects(connection.read(ECHO, 'x'), { message: /closed/ })
  const isBack = log.waitFor('Redis is there')
  await server.start()
  await isBack
  t.same(connection.status(), { canSave: true })
  t.equal(await connection.client.get('{holdline}:test'), 'kept')
  t.equal(log.lines.filter(line => line.startsWith('error:')).length, 1)
})

t.test('while the server is away a command fails at once, save that of a turn, which waits for it', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { connection, log } = makeConnection(t, server.addressOf(0), { commandTimeoutMs: 600_000 })
  await connection.open()
  await server.stop('SIGKILL')
  for (let count = 0; count < 3; count++) await t.rejects(connection.run(WRITE, 'x'), { message: /closed|connection/i })
  const lasting = runUnderLease(new TestLease(), async () => await connection.run(WRITE, 'of a turn'))
  const isBack = log.waitFor('Redis is there')
  await server.start()
  t.equal(await lasting, 'OK')
  await isBack
  t.equal(await connection.run(WRITE, 'x'), 'OK')
})

t.test('a command of a moment without connection is sent as soon as there is one', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { connection } = makeConnection(t, server.addressOf(0))
  await connection.open()
  const isLost = once(connection.client, 'close')
  await connection.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no').catch(() => {})
  await isLost
  t.equal(connection.status().canSave, false)
  t.equal(await connection.run(WRITE, 'x'), 'OK')
})

t.test('a server that does not answer fails commands in time, and is not sent them later', async t => {
  const sockets = new Set<Socket>()
  const silent = createServer(socket => { sockets.add(socket.on('error', () => {})) }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => { for (const socket of sockets) socket.destroy(); silent.close() })
  const address = silent.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const { connection } = makeConnection(t, `redis://127.0.0.1:${port}`, { connectForMs: 500, commandTimeoutMs: 100 })
  await t.rejects(connection.open(), { code: 'STORE_UNREACHABLE', message: /does not answer|connection was lost/ })
})

t.test('a server whose memory is full refuses changes by name, still reads, and takes them again without a restart', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { connection, log } = makeConnection(t, server.addressOf(0), { probeMs: 20 })
  await connection.open()
  await connection.run(WRITE, 'before')
  await connection.client.config('SET', 'maxmemory', '1')
  await t.rejects(connection.run(WRITE, 'x'), { message: /^OOM/ })
  t.match(connection.status(), { canSave: false, reason: /memory is full/ })
  t.equal(await connection.read(ECHO, 'x'), 'x')
  t.equal(connection.status().canSave, false)
  const isGood = log.waitFor('takes changes again')
  await connection.client.config('SET', 'maxmemory', '0')
  await isGood
  t.same(connection.status(), { canSave: true })
})

t.test('a closed connection refuses everything, and closes once', { skip: NO_REDIS }, async t => {
  const server = await RedisServer.start(t)
  const { connection } = makeConnection(t, server.addressOf(0))
  await connection.open()
  const result = connection.run(WRITE, 'last')
  await Promise.all([connection.close(), connection.close()])
  t.equal(await result, 'OK')
  await t.rejects(connection.run(WRITE, 'x'))
  t.equal(connection.status().canSave, false)
})
