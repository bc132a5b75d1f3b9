import { resolve } from 'node:path'
import t from 'tap'
import { parseMoveAddress, type MoveSettings } from '../src/move-address.ts'

const SETTINGS: MoveSettings = { path: 'data/sessions.csv', ownConversationsPath: undefined, databaseUrl: 'postgres://u:secret@db:5433/app?x=secret', redisUrl: 'rediss://:secret@cache/2' }

t.test('a file has its conversations beside it, unless CONVERSATIONS_PATH says otherwise', async t => {
  t.same(parseMoveAddress('csv', SETTINGS),
    { kind: 'csv', name: `csv:${resolve('data/sessions.csv')}`, path: 'data/sessions.csv', conversationsPath: 'data/conversations.sqlite' })
  t.match(parseMoveAddress('csv:/elsewhere/a.csv', SETTINGS), { path: '/elsewhere/a.csv', conversationsPath: '/elsewhere/conversations.sqlite' })
  t.match(parseMoveAddress('csv:/elsewhere/a.csv', { ...SETTINGS, ownConversationsPath: 'c.sqlite' }), { conversationsPath: 'c.sqlite' })
})

t.test('the name of a server has no secret in it', async t => {
  t.match(parseMoveAddress('postgres', SETTINGS), { kind: 'postgres', name: 'postgres://db:5433/app', url: SETTINGS.databaseUrl })
  t.match(parseMoveAddress('postgresql://u:secret@db/app?password=secret', SETTINGS), { name: 'postgres://db/app' })
  t.match(parseMoveAddress('redis', SETTINGS), { kind: 'redis', name: 'rediss://cache/2', databaseUrl: SETTINGS.databaseUrl })
  t.match(parseMoveAddress('redis://u:secret@h:1/0', SETTINGS), { name: 'redis://h:1/0' })
})

t.test('what is no address is refused, and not repeated', async t => {
  for (const text of ['', 'csv:', 'sqlite:x', 'https://u:secret@h', 'postgres://u:sec ret@:99999999/x']) {
    t.throws(() => parseMoveAddress(text, SETTINGS), { code: 'SETTING_INVALID', message: /^(?!.*sec)/ }, text)
  }
  const none = { ...SETTINGS, databaseUrl: undefined, redisUrl: undefined }
  t.throws(() => parseMoveAddress('postgres', none), { message: 'DATABASE_URL is not set' })
  t.throws(() => parseMoveAddress('redis', none), { message: 'REDIS_URL is not set' })
})
