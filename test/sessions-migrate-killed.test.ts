import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { killWhen, makeHouse, migrate, readSorted } from './fixtures/house.ts'
import { openClient, PostgresServer } from './fixtures/postgres.ts'
import { Service } from './fixtures/service.ts'

/** How many there are in the target. */
type Count = () => Promise<number>

const postgres = await PostgresServer.start(t)
// What is moved stays as it is: one house for all.
const dir = await makeHouse(t, 5000, 60)

interface Half {
  readonly name: string
  /** When to kill. */
  readonly has: (count: { sessions: Count, threads: Count }) => Promise<boolean>
}

const HALVES: Half[] = [
  { name: 'the conversations', has: async ({ threads }) => await threads() > 10 },
  { name: 'the sessions', has: async ({ sessions }) => await sessions() > 0 }
]

for (const { name, has } of HALVES) {
  t.test(`killed in the middle of ${name} on the way to Postgres, and on the way back to a file, and run again, it goes on and ends right`, async t => {
    const url = await postgres.createDatabase()
    const client = await openClient(t, url)
    const count = (sql: string): Count => async () => Number((await client.query(sql)).rows[0]?.count)
    const sessions = count('SELECT count(*) FROM holdline.sessions')
    const threads = count('SELECT count(DISTINCT thread_id) FROM holdline.checkpoints')
    await killWhen(dir, ['--from', 'csv', '--to', url], async () => await has({ sessions, threads }))
    t.ok(await sessions() < 5000)
    const service = Service.launch(t, dir, { SESSION_STORE: 'postgres', DATABASE_URL: url })
    t.match(await service.exit, { code: 1, stderr: /is not finished/ })
    const run = await migrate(dir, 'csv', url)
    t.match(run, { code: 0, stdout: /, resumed\n[^]*of them were there already\nAll of it was read again/ })
    t.same([await sessions(), await threads()], [5000, 60])

    const target = join(dir, 'new')
    rmSync(target, { recursive: true, force: true })
    const threadsInFile: Count = async () => {
      const db = new Database(join(target, 'conversations.sqlite'), { readonly: true })
      try {
        return Number(db.prepare('SELECT count(DISTINCT thread_id) FROM thread_checkpoints').pluck().get())
      } finally {
        db.close()
      }
    }
    const sessionsInFile: Count = async () => existsSync(join(target, 'sessions.csv.tmp')) ? 1 : 0
    await killWhen(dir, ['--from', url, '--to', 'csv:new/sessions.csv'], async () => await has({ sessions: sessionsInFile, threads: threadsInFile }))
    t.notOk(existsSync(join(target, 'sessions.csv')))
    const other = Service.launch(t, dir, { SESSIONS_CSV_PATH: 'new/sessions.csv' })
    t.match(await other.exit, { code: 1, stderr: /The move from postgres:.* to new\/sessions\.csv is not finished/ })
    t.match(await migrate(dir, url, 'csv:new/sessions.csv'), { code: 0, stdout: /, resumed\n/ })
    t.same(readSorted(join(target, 'sessions.csv')), readSorted(join(dir, 'sessions.csv')))
    t.equal(await threadsInFile(), 60)
    t.notOk(readdirSync(target).some(file => /moving|tmp/.test(file)))
  })
}

// The server at work would keep the file from ending.
t.end()
