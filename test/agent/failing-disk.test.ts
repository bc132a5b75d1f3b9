import { copyFileSync, existsSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ConversationFile } from '../../src/agent/checkpointer.ts'
import { AgentBench } from '../fixtures/agent.ts'
import { makeFolder } from '../fixtures/folder.ts'
import { RecordingLog } from '../fixtures/recording-log.ts'
import { noSmallDisk, SmallDisk } from '../fixtures/small-disk.ts'

const AGAIN = 'Conversations can be saved again'
const UNAVAILABLE = { code: 'CONVERSATIONS_UNAVAILABLE', retryAfterSeconds: 5 }

if (noSmallDisk !== false) t.comment(`Tests on a full and on a read-only disk are left out: ${noSmallDisk}`)

async function openBench (t: Test, dir: string): Promise<{ bench: AgentBench, log: RecordingLog }> {
  const log = new RecordingLog()
  // By this clock no attempt takes any time, so that the next one is made as soon after it as may be.
  return { bench: await AgentBench.open(t, dir, { log, retryMs: 10, now: () => 0 }), log }
}

t.test('on a full disk turns are refused and nothing is read; with room again they go on where they were', { skip: noSmallDisk }, async t => {
  const disk = SmallDisk.mount(t)
  const { bench, log } = await openBench(t, disk.dir)
  const { agent } = bench
  await bench.turn('kept')
  await bench.turn('kept too', { threadId: 'resting' })
  await bench.turn('note: milk', { threadId: 'asking' })
  const asked = await agent.pending('asking')
  t.same(agent.status(), { canSave: true })
  disk.fill()
  await t.rejects(bench.turn('lost'), { ...UNAVAILABLE, cause: { code: 'SQLITE_FULL' } })
  t.same(agent.status(), { canSave: false, reason: 'no space left' })
  for (const threadId of ['thread', 'resting', 'asking']) {
    await t.rejects(agent.pending(threadId), UNAVAILABLE, 'what was known of a thread counts no more')
    await t.rejects(agent.history(threadId), UNAVAILABLE)
    await t.rejects(agent.forget(threadId), UNAVAILABLE)
  }
  await t.rejects(agent.listThreads('', 10), UNAVAILABLE)
  await t.rejects(ConversationFile.open({ path: join(disk.dir, 'conversations.sqlite') }), { code: 'FILE_LOCKED' }, 'the lock is kept')
  disk.free()
  await log.next(AGAIN)
  t.same(agent.status(), { canSave: true })
  t.equal(await agent.pending('thread'), undefined)
  await bench.turn('after')
  t.same(await bench.said(), ['user: kept', 'assistant: You said: kept', 'user: after', 'assistant: You said: after'])
  t.same(await agent.pending('asking'), asked)
  t.same(log.lines, ['error: Conversations cannot be saved: no space left', `info: ${AGAIN}`], 'said once, however many attempts there were')
  t.match(log.errors, [{ code: 'SQLITE_FULL' }])
  t.notOk(existsSync(join(disk.dir, 'conversations.sqlite-check')))
})

t.test('nothing acknowledged is lost while a disk fills and empties under many conversations', { skip: noSmallDisk }, async t => {
  const disk = SmallDisk.mount(t, '16m')
  const { bench, log } = await openBench(t, disk.dir)
  const acknowledged = new Map<string, string[]>()
  let refused = 0
  const over = new AbortController()
  const clients = Array.from({ length: 6 }, async (_, client) => {
    const threadId = `thread_${client}`
    const kept: string[] = []
    acknowledged.set(threadId, kept)
    for (let n = 0; !over.signal.aborted; n++) {
      const text = `message ${n}`
      // As a turn of the service does: a thread that a failure left is mended first.
      const said = await bench.agent.pending(threadId).then(async () => await bench.turn(text, { threadId })).then(() => true, () => false)
      if (said) kept.push(`user: ${text}`)
      else refused++
      await setTimeout(said ? 0 : 5)
    }
  })
  for (let round = 0; round < 2; round++) {
    const before = [...acknowledged.values()].map(kept => kept.length)
    while ([...acknowledged.values()].some((kept, client) => kept.length < (before[client] ?? 0) + 3)) await setTimeout(5)
    const failed = log.next('cannot be saved')
    disk.fill()
    await failed
    const recovered = log.next(AGAIN)
    disk.free()
    await recovered
  }
  over.abort()
  await Promise.all(clients)
  t.ok(refused > 0)
  for (const [threadId, kept] of acknowledged) {
    t.ok(kept.length > 0)
    t.same((await bench.said(threadId)).filter(line => line.startsWith('user: ')), kept, threadId)
  }
})

t.test('a tool that meets the full disk ends the turn, however soon there is room again, and its question is asked again', { skip: noSmallDisk }, async t => {
  const disk = SmallDisk.mount(t)
  const { bench, log } = await openBench(t, disk.dir)
  await bench.turn('note: milk')
  const asked = await bench.agent.pending('thread')
  bench.beforeSave = () => { disk.fill() }
  const recover = async () => {
    const isBack = log.next(AGAIN)
    disk.free()
    await isBack
  }
  // Were the agent told that its tool failed, the turn would find room for its end, and the yes would be used up.
  bench.model.hook = recover
  await t.rejects(bench.resume([{ type: 'approve' }]), UNAVAILABLE)
  t.match(log.errors, [{ code: 'SQLITE_FULL' }])
  bench.beforeSave = () => {}
  bench.model.hook = () => {}
  await recover()
  t.same(await bench.agent.pending('thread'), asked)
  t.match((await bench.resume([{ type: 'approve' }])).at(-1), { type: 'answer', text: /milk/ })
  t.match((await bench.turn('notes')).at(-1), { text: /^Your notes:\n1\. milk\n\(/ })
})

t.test('a disk that went read-only, a file that is missing or emptied: none is taken for a repair', { skip: noSmallDisk }, async t => {
  const disk = SmallDisk.mount(t)
  const { bench, log } = await openBench(t, disk.dir)
  await bench.turn('kept')
  disk.fill()
  await t.rejects(bench.turn('lost'), UNAVAILABLE)
  const name = 'conversations.sqlite'

  const isReadOnly = log.next('the file or its file system is read-only')
  const makeWritable = disk.makeReadOnly()
  disk.free()
  await isReadOnly
  t.match(bench.agent.status(), { canSave: false, reason: /read-only/ })

  const isMissing = log.next('the file is missing')
  renameSync(disk.behind(name), disk.behind('away'))
  makeWritable()
  await isMissing
  t.notOk(existsSync(join(disk.dir, name)), 'no empty file takes its place')

  const isEmpty = log.next('the file is damaged')
  copyFileSync(disk.behind('away'), disk.behind('empty'))
  truncateSync(disk.behind('empty'))
  renameSync(disk.behind('empty'), disk.behind(name))
  await isEmpty
  await t.rejects(bench.turn('lost too'), UNAVAILABLE)

  const isBack = log.next(AGAIN)
  renameSync(disk.behind('away'), disk.behind(name))
  await isBack
  t.match((await bench.turn('what did I say first?')).at(-1), { text: /You said first: "kept"/ })
})

/** A file of some hundred pages, with a copy of it, as a stop leaves them. */
async function fillFile (t: Test, dir: string): Promise<string> {
  const path = join(dir, 'conversations.sqlite')
  const before = await AgentBench.open(t, dir)
  for (let n = 0; n < 20; n++) await before.turn(`${n} ${'x'.repeat(5000)}`, { threadId: `thread_${n % 5}` })
  await before.turn('kept')
  await before.file.close()
  copyFileSync(path, `${path}.backup`)
  return path
}

t.test('a file that is cut off under us is refused until a whole one takes its place', async t => {
  const dir = makeFolder(t)
  const path = await fillFile(t, dir)
  const { bench, log } = await openBench(t, dir)
  truncateSync(path, Math.floor(statSync(path).size / 2 / 4096) * 4096)
  await t.rejects(async () => { for (let n = 0; n < 5; n++) await bench.turn('lost', { threadId: `thread_${n}` }) }, UNAVAILABLE)
  t.match(bench.agent.status(), { canSave: false, reason: 'the file is damaged' })
  t.match(log.errors, [{ code: /^SQLITE_(CORRUPT|NOTADB)|^SQLITE_IOERR/ }])
  await t.rejects(bench.turn('lost', { threadId: 'new' }), UNAVAILABLE)
  const isBack = log.next(AGAIN)
  for (const end of ['-wal', '-shm']) rmSync(`${path}${end}`, { force: true })
  renameSync(`${path}.backup`, path)
  await isBack
  t.match((await bench.turn('what did I say first?')).at(-1), { text: /You said first: "kept"/ })
  t.notOk(log.lines.slice(0, -1).some(line => line.includes(AGAIN)), 'it was not taken for whole in between')
})
