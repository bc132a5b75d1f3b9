import { join } from 'node:path'
import t from 'tap'
import { makeHouse, migrate, readSorted } from './fixtures/house.ts'
import { openClient, PostgresServer } from './fixtures/postgres.ts'
import { runTool } from './fixtures/tool.ts'

const postgres = await PostgresServer.start(t)

t.test('commands look at the server that SESSION_STORE names, or say what does the same there', async t => {
  const dir = await makeHouse(t, 5, 0)
  const url = await postgres.createDatabase()
  t.equal((await migrate(dir, 'csv', url)).code, 0)
  const env = { SESSION_STORE: 'postgres', DATABASE_URL: url }
  t.match(JSON.parse((await runTool(dir, ['list', '--json'], env)).stdout), { count: 5 })
  t.match(JSON.parse((await runTool(dir, ['count', '--json'], env)).stdout), { count: 5, by_platform: { telegram: 5 } })
  t.match(await runTool(dir, ['show', 's-3'], env), { code: 0, stdout: /telegram_3/ })
  t.same((await runTool(dir, ['export'], env)).stdout.split('\n').sort(), readSorted(join(dir, 'sessions.csv')))
  t.match(await runTool(dir, ['backup', 'b'], env), { code: 1, stderr: /^backup is about a session file, and SESSION_STORE names a server: see pg_dump.*\n$/ })
  const admin = await openClient(t, url)
  await admin.query("CREATE ROLE blind LOGIN PASSWORD 'secret-of-test'")
  const startedMs = performance.now()
  t.match(await runTool(dir, ['count'], { ...env, DATABASE_URL: url.replace('//postgres:', '//blind:') }), { code: 1, stderr: /^permission denied[^\n]*\n$/ })
  t.ok(performance.now() - startedMs < 50_000, 'it ends at once, not when its connections are given up')
  t.match(await runTool(dir, ['show', 'nobody'], env), { code: 1, stderr: /^postgres:\/\/127.* has no session and no user "nobody"\n$/ })
})

// The server at work would keep the file from ending.
t.end()
