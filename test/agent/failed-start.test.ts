import { spawnSync } from 'node:child_process'
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ConversationFile } from '../../src/agent/checkpointer.ts'
import { AgentBench } from '../fixtures/agent.ts'
import { makeFolder } from '../fixtures/folder.ts'
import { RecordingLog } from '../fixtures/recording-log.ts'
import { noSmallDisk, SmallDisk } from '../fixtures/small-disk.ts'

const UNAVAILABLE = { code: 'CONVERSATIONS_UNAVAILABLE' }

/** Why no file can be shut against its owner here; false where one can. */
const noShutFile = tryShut(join(makeFolder(t, { file: '' }), 'file'))

if (noShutFile !== false) t.comment(`A test on a disk that refuses a write is left out: ${noShutFile}`)
if (noSmallDisk !== false) t.comment(`Tests on a full and on a read-only disk are left out: ${noSmallDisk}`)

function change (flag: '+i' | '-i', path: string): string | false {
  const { status, stderr } = spawnSync('chattr', [flag, path], { encoding: 'utf8' })
  return status === 0 ? false : `this machine or its file system forbids chattr ${flag}: ${stderr}`
}

function tryShut (path: string): string | false {
  const reason = change('+i', path)
  change('-i', path)
  return reason
}

/** A file of some hundred pages, as a stop leaves it. */
async function fillFile (t: Test, dir: string): Promise<string> {
  const bench = await AgentBench.open(t, dir)
  for (let n = 0; n < 20; n++) await bench.turn(`${n} ${'x'.repeat(5000)}`, { threadId: `thread_${n}` })
  await bench.file.close()
  return join(dir, 'conversations.sqlite')
}

/** Refused in one line that names the file, with nothing left open. */
async function checkRefused (t: Test, path: string, reason: RegExp): Promise<void> {
  const { message, code } = await ConversationFile.open({ path }).then(file => file.close(), (error: unknown) => error)
    .then(error => error instanceof Error && 'code' in error ? { message: error.message, code: error.code } : { message: 'opened', code: undefined })
  t.match(code, /^(FILE_INVALID|STORE_UNAVAILABLE)$/)
  t.match(message, reason)
  t.match(message, /conversations\.sqlite/)
  t.notMatch(message, /\n/)
}

/** Spoils pages in the middle, where an opening does not look. */
function spoil (path: string): void {
  const file = openSync(path, 'r+')
  const middle = Math.floor(statSync(path).size / 2 / 4096) * 4096
  writeSync(file, Buffer.alloc(10 * 4096, 0xee), 0, 10 * 4096, middle)
  closeSync(file)
}

t.test('a folder in place of the file, a file that is none of ours, one that is cut off: each refuses the start, the file untouched', async t => {
  const folder = makeFolder(t)
  mkdirSync(join(folder, 'conversations.sqlite'))
  await checkRefused(t, join(folder, 'conversations.sqlite'), /EISDIR/)

  const path = await fillFile(t, makeFolder(t))
  truncateSync(path, Math.floor(statSync(path).size / 2 / 4096) * 4096)
  const cut = readFileSync(path)
  await checkRefused(t, path, /malformed/)
  t.ok(readFileSync(path).equals(cut))

  writeFileSync(path, 'no database at all, for sure'.repeat(100))
  await checkRefused(t, path, /not a database/)
  t.equal(statSync(path).size, 2800)
  rmSync(path)
  await (await ConversationFile.open({ path })).close()
})

t.test('a disk that is read-only, or full, refuses the start, and no longer when it is mended', { skip: noSmallDisk }, async t => {
  const disk = SmallDisk.mount(t)
  const path = await fillFile(t, disk.dir)
  const makeWritable = disk.makeReadOnly()
  await checkRefused(t, path, /read-only/)
  makeWritable()
  disk.fill()
  await checkRefused(t, path, /full|unable to open|disk I\/O/)
  disk.free()
  const file = await ConversationFile.open({ path })
  t.equal((await file.listThreads('', 100)).length, 20)
  await file.close()
})

t.test('a full disk that has room for a page or two at the start refuses it, too, before a turn does', { skip: noSmallDisk }, async t => {
  const disk = SmallDisk.mount(t)
  const path = await fillFile(t, disk.dir)
  // SQLite's shared memory and the header of its log find their room, the first page of the log does not.
  const reserve = openSync(disk.behind('reserve'), 'w')
  for (let n = 0; n < 9; n++) writeSync(reserve, Buffer.alloc(4096))
  closeSync(reserve)
  disk.fill()
  rmSync(disk.behind('reserve'))
  await checkRefused(t, path, /full/)
})

t.test('a failure that a restart came before is checked by the start: what is not whole refuses it, what is whole does not', { skip: noSmallDisk }, async t => {
  const disk = SmallDisk.mount(t)
  const path = await fillFile(t, disk.dir)
  const log = new RecordingLog()
  const bench = await AgentBench.open(t, disk.dir, { log })
  disk.fill()
  await t.rejects(bench.turn('lost'), UNAVAILABLE)
  await bench.file.close()
  t.ok(existsSync(`${path}-check`), 'the mark found room on the full disk')
  await checkRefused(t, path, /full/)
  disk.free()
  copyFileSync(path, `${path}.whole`)
  spoil(path)
  await checkRefused(t, path, /quick_check|malformed/)
  t.ok(existsSync(`${path}-check`))
  copyFileSync(`${path}.whole`, path)
  const after = await AgentBench.open(t, disk.dir)
  t.notOk(existsSync(`${path}-check`))
  t.match((await after.turn('what did I say first?', { threadId: 'thread_3' })).at(-1), { text: /You said first: "3 xxx/ })
})

t.test('a marked file that somebody emptied starts as a new one', async t => {
  const path = join(makeFolder(t, { 'conversations.sqlite': '', 'conversations.sqlite-check': '' }), 'conversations.sqlite')
  const file = await ConversationFile.open({ path })
  t.same(await file.listThreads('', 10), [])
  t.notOk(existsSync(`${path}-check`))
  await file.close()
})

t.test('a write that the disk refuses with an error of its own is one of a failing disk', { skip: noShutFile }, async t => {
  const dir = makeFolder(t)
  const log = new RecordingLog()
  // The clock stands still: an attempt takes no time by it, and the next one follows at once.
  const bench = await AgentBench.open(t, dir, { log, retryMs: 10, now: () => 0 })
  await bench.turn('kept')
  const path = join(dir, 'conversations.sqlite-wal')
  t.after(() => { change('-i', path) })
  change('+i', path)
  await t.rejects(bench.turn('lost'), UNAVAILABLE)
  t.match(log.errors, [{ code: /^SQLITE_IOERR/ }])
  // The log is there still, and can be neither synced anew nor folded in.
  await log.next('permission denied')
  t.equal(bench.agent.status().canSave, false)
  const isBack = log.next('Conversations can be saved again')
  change('-i', path)
  await isBack
  await bench.turn('after')
  t.same(await bench.said(), ['user: kept', 'assistant: You said: kept', 'user: after', 'assistant: You said: after'])
})
