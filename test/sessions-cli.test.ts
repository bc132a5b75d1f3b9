import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import t from 'tap'
import { HEADER } from './fixtures/admin.ts'
import { makeFolder } from './fixtures/folder.ts'
import { LOADER } from './fixtures/loader.ts'
import { runTool as run, TOOL } from './fixtures/tool.ts'

function makeRows (count: number): string {
  const now = new Date().toISOString()
  return `${HEADER}\n${Array.from({ length: count }, (_, index) => `s-${index},telegram_${index},telegram,t-${index},${now},${now},,{}\n`).join('')}`
}

t.test('what makes no sense is answered with the usage on stderr and exit code 2; help is no error', async t => {
  const dir = makeFolder(t)
  const [wrong, help] = await Promise.all([run(dir, ['frob']), run(dir, ['--help'])])
  t.match(wrong, { code: 2, stdout: '', stderr: /^There is no command "frob"\n\nusage: sessions <command>/ })
  t.match(help, { code: 0, stdout: /^usage: sessions <command>/, stderr: '' })
})

t.test('an error is one line on stderr and exit code 1, whatever is in it', async t => {
  const dir = makeFolder(t, { 'sessions.csv': 'a;b\n' })
  const [list, missing, setting, verify] = await Promise.all([
    run(dir, ['list']), run(dir, ['import', 'none\u001b[2J.csv']), run(dir, ['list'], { SESSIONS_FSYNC: 'maybe' }), run(dir, ['verify'])
  ])
  t.match(list, { code: 1, stdout: '', stderr: /^sessions\.csv does not begin with the header.*\n$/ })
  t.match(missing, { code: 1, stderr: /^ENOENT: .*none\\u001b\[2J\.csv'\n$/ })
  t.match(setting, { code: 1, stderr: 'SESSIONS_FSYNC must be always or never, received "maybe"\n' })
  t.match(verify, { code: 1, stdout: /A start would be refused/, stderr: '' })
})

t.test('settings come from .env and the environment, the environment wins, and --json answers with one document', async t => {
  const dir = makeFolder(t, { '.env': 'SESSIONS_CSV_PATH=mine.csv\n', 'mine.csv': makeRows(2), 'more.csv': makeRows(3) })
  const [list, count] = await Promise.all([run(dir, ['list', '--json']), run(dir, ['count', '--json'], { SESSIONS_CSV_PATH: 'more.csv' })])
  t.match(JSON.parse(list.stdout), { count: 2, sessions: [{ session_id: 's-0' }, { session_id: 's-1' }] })
  t.match(JSON.parse(count.stdout), { count: 3 })
  t.same([list.code, list.stderr, count.code], [0, '', 0])
})

t.test('a reader who hangs up ends the tool without a word; a full disk behind stdout is an error', async t => {
  const dir = makeFolder(t, { 'sessions.csv': makeRows(5000) })
  const child = spawn('/bin/sh', ['-c', '"$@" | head -n 1; exit 0', 'sh', process.execPath, LOADER, TOOL, 'list'], { cwd: dir })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', text => { stdout += String(text) })
  child.stderr.on('data', text => { stderr += String(text) })
  await once(child, 'close')
  t.match(stdout, /^session_id .*\n$/)
  t.equal(stderr, '')
  if (!existsSync('/dev/full')) return
  const device = openSync('/dev/full', 'w')
  const full = spawn(process.execPath, [LOADER, TOOL, 'export'], { cwd: dir, stdio: ['ignore', device, 'pipe'] })
  closeSync(device)
  let error = ''
  full.stderr?.on('data', text => { error += String(text) })
  t.same(await once(full, 'close'), [1, null])
  t.match(error, /^ENOSPC: no space left on device.*\n$/)
})
