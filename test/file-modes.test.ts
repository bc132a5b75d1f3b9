import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { makeFolder } from './fixtures/folder.ts'
import { Service } from './fixtures/service.ts'
import { LOADER } from './fixtures/loader.ts'

const SERVER = fileURLToPath(new URL('../src/server.ts', import.meta.url))
const CLI = fileURLToPath(new URL('../src/sessions-cli.ts', import.meta.url))

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

/** Everything in a folder, with its mode. */
function listModes (dir: string): Record<string, string> {
  const paths = readdirSync(dir, { recursive: true, encoding: 'utf8' })
  return Object.fromEntries(paths.sort().map(path => [path.replace(/\d{8}\S*?(?=\.)/, 'TIME'), modeOf(join(dir, path))]))
}

/** The words that start the service under another umask. */
const under = (umask: string): string[] => [
  `--import=data:text/javascript,process.umask(0o${umask})`, LOADER, SERVER
]

for (const umask of ['000', '077']) {
  t.test(`under umask ${umask}, what is made is its owner's alone: files 0600, folders 0700`, async t => {
    const dir = makeFolder(t)
    chmodSync(dir, 0o755)
    const env = { SESSIONS_CSV_PATH: join(dir, 'data', 'more', 'sessions.csv') }
    const first = await Service.start(t, dir, env, under(umask))
    await first.say('note: one')
    const running = listModes(dir)
    t.same(running, {
      data: '700',
      'data/more': '700',
      'data/more/conversations.sqlite': '600',
      'data/more/conversations.sqlite-shm': '600',
      'data/more/conversations.sqlite-wal': '600',
      'data/more/conversations.sqlite.lock': '600',
      'data/more/sessions.csv': '600',
      'data/more/sessions.csv.lock': '600',
      ...(running['data/more/sessions.csv.journal'] !== undefined && { 'data/more/sessions.csv.journal': '600' })
    })
    const backup = spawnSync(process.execPath, [`--import=data:text/javascript,process.umask(0o${umask})`, LOADER, CLI, 'backup', 'copy'], {
      cwd: dir, env: { PATH: process.env.PATH, ...env }, encoding: 'utf8'
    })
    t.equal(backup.status, 0, backup.stderr)
    t.equal(modeOf(join(dir, 'copy')), '700')
    t.same(new Set(Object.values(listModes(join(dir, 'copy')))), new Set(['600']))

    // What is set aside: a row that cannot be read, and a journal of another file.
    first.kill('SIGKILL')
    await first.exit
    const csv = join(dir, 'data', 'more', 'sessions.csv')
    writeFileSync(csv, `${readFileSync(csv, 'utf8')}torn,row\n`)
    const second = await Service.start(t, dir, env, under(umask))
    await second.say('yes')
    second.kill('SIGTERM')
    await second.exit
    const after = listModes(join(dir, 'data', 'more'))
    t.ok(Object.keys(after).some(name => name.includes('_rejected_')))
    t.same(new Set(Object.values(after)), new Set(['600']))
    t.equal(modeOf(dir), '755', 'a folder that was there is left as it is')
  })
}

t.test('a session file that others may read keeps its mode, since somebody wants it so', async t => {
  const dir = makeFolder(t)
  const path = join(dir, 'sessions.csv')
  const first = await Service.start(t, dir)
  await first.say('Hello')
  first.kill('SIGTERM')
  await first.exit
  copyFileSync(path, join(dir, 'backup.csv'))
  chmodSync(path, 0o640)
  const second = await Service.start(t, dir)
  await second.say('Hello again')
  t.equal(modeOf(path), '640')
  second.kill('SIGTERM')
  await second.exit
})
