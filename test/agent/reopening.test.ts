import { mock } from 'node:test'
import t from 'tap'
import { Reopening, type ReopeningOptions } from '../../src/agent/reopening.ts'
import { makeGate } from '../fixtures/gate.ts'
import { RecordingLog } from '../fixtures/recording-log.ts'

const AGAIN = 'Conversations can be saved again'
const UNAVAILABLE = { code: 'CONVERSATIONS_UNAVAILABLE', retryAfterSeconds: 5 }

const fail = (code: string) => async () => { throw Object.assign(new Error('as SQLite says it'), { code }) }

/** Resources are counted from 1; `given` lists what became of them. */
function makeReopening (options: Partial<ReopeningOptions<number>> = {}) {
  const log = new RecordingLog()
  const given: string[] = []
  let opened = 1
  const reopening = new Reopening<number>(1, {
    open: async () => ++opened,
    check: async () => {},
    discard: resource => { given.push(`discarded ${resource}`) },
    close: resource => { given.push(`closed ${resource}`) },
    retryMs: 1,
    now: () => 0,
    log,
    ...options
  })
  return { reopening, log, given }
}

t.test('an error that is not of a failing disk reaches its caller and changes nothing', async t => {
  const { reopening, given, log } = makeReopening()
  for (const code of ['SQLITE_BUSY', 'SQLITE_LOCKED', 'SQLITE_NOMEM', 'SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_ERROR', 'ENOSPC']) {
    await t.rejects(reopening.use(fail(code)), { code })
  }
  t.same(reopening.status(), { canSave: true })
  t.equal(await reopening.use(async resource => resource), 1)
  t.same([given, log.lines], [[], []])
})

t.test('each error of a failing disk closes the resource, tells why, and the next one is opened by itself', async t => {
  const reasons = {
    SQLITE_FULL: 'no space left',
    SQLITE_IOERR_FSYNC: 'the disk reports an input/output error',
    SQLITE_IOERR_SHORT_READ: 'the disk reports an input/output error',
    SQLITE_READONLY_DBMOVED: 'the file or its file system is read-only',
    SQLITE_CANTOPEN: 'the file is missing or cannot be opened',
    SQLITE_CORRUPT: 'the file is damaged',
    SQLITE_NOTADB: 'the file is damaged',
    SQLITE_PERM: 'permission denied'
  }
  for (const [code, reason] of Object.entries(reasons)) {
    const { reopening, log, given } = makeReopening()
    await t.rejects(reopening.use(fail(code)), { ...UNAVAILABLE, cause: { code } })
    t.same(reopening.status(), { canSave: false, reason })
    t.same(given, ['discarded 1'])
    await t.rejects(reopening.use(async resource => resource), UNAVAILABLE)
    await t.rejects(reopening.iterate(async function * (resource) { yield resource }).next(), UNAVAILABLE)
    await log.next(AGAIN)
    t.same(reopening.status(), { canSave: true })
    t.equal(await reopening.use(async resource => resource), 2)
    t.equal(reopening.epoch, 1, 'what was known before counts no more')
    t.same(log.lines, [`error: Conversations cannot be saved: ${reason}`, `info: ${AGAIN}`])
  }
})

t.test('whoever is in the middle of something when the disk fails is refused; the new one is not blamed for it', async t => {
  const { reopening, log, given } = makeReopening()
  const gate = makeGate()
  const late = reopening.use(async () => {
    await gate.opened
    throw new TypeError('The database connection is not open')
  })
  const lateFailure = reopening.use(async () => {
    await gate.opened
    return await fail('SQLITE_IOERR')()
  })
  const walk = reopening.iterate(async function * (resource) {
    yield resource
    await fail('SQLITE_FULL')()
  })
  t.match(await walk.next(), { value: 1 })
  await t.rejects(walk.next(), UNAVAILABLE)
  await log.next(AGAIN)
  gate.open()
  await t.rejects(late, UNAVAILABLE)
  await t.rejects(lateFailure, UNAVAILABLE)
  t.same(reopening.status(), { canSave: true })
  t.same(given, ['discarded 1'])
  t.equal(log.lines.length, 2)
})

t.test('it is not opened before the check passes and the file takes a write; a reason is said once', async t => {
  const verdicts = ['SQLITE_FULL', 'SQLITE_FULL', 'SQLITE_CORRUPT', 'SQLITE_CORRUPT', undefined, undefined]
  const attempts: string[] = []
  const { reopening, log } = makeReopening({
    check: async () => {
      attempts.push('check')
      const code = verdicts.shift()
      if (code !== undefined) await fail(code)()
    },
    open: async () => {
      attempts.push('open')
      return verdicts.length > 0 ? await fail('EIO')() : 2
    }
  })
  await t.rejects(reopening.use(fail('SQLITE_FULL')), UNAVAILABLE)
  await log.next(AGAIN)
  t.same(attempts, ['check', 'check', 'check', 'check', 'check', 'open', 'check', 'open'])
  t.same(log.lines, [
    'error: Conversations cannot be saved: no space left',
    'error: Conversations cannot be saved: the file is damaged',
    'error: Conversations cannot be saved: the disk reports an input/output error',
    `info: ${AGAIN}`
  ])
})

t.test('a close waits for the attempt under way, opens nothing more, and closes once', async t => {
  const [reached, gate] = [makeGate(), makeGate()]
  let opened = 0
  const { reopening, log } = makeReopening({
    check: async () => {
      reached.open()
      await gate.opened
    },
    open: async () => ++opened
  })
  await t.rejects(reopening.use(fail('SQLITE_FULL')), UNAVAILABLE)
  // The timer of the attempt lets the process end.
  const life = setInterval(() => {}, 60_000)
  await reached.opened
  clearInterval(life)
  let isClosed = false
  const closed = reopening.close().then(() => { isClosed = true })
  await new Promise(resolve => setImmediate(resolve))
  t.equal(isClosed, false)
  gate.open()
  await closed
  t.equal(opened, 0)
  t.notOk(log.lines.some(line => line.includes(AGAIN)))

  const { reopening: sound, given } = makeReopening()
  await sound.close()
  await sound.close()
  t.same(given, ['closed 1'])
  await t.rejects(sound.use(async resource => resource), UNAVAILABLE)
})

t.test('an attempt that took long is not made again at once', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => { mock.timers.reset() })
  let nowMs = 0
  let attempts = 0
  const { reopening } = makeReopening({
    retryMs: 1000,
    now: () => nowMs,
    check: async () => {
      attempts++
      nowMs += 5000
      await fail('SQLITE_CORRUPT')()
    }
  })
  const pass = async (ms: number) => {
    mock.timers.tick(ms)
    for (let turn = 0; turn < 10; turn++) await Promise.resolve()
  }
  await t.rejects(reopening.use(fail('SQLITE_CORRUPT')), UNAVAILABLE)
  await pass(999)
  t.equal(attempts, 0)
  await pass(1)
  t.equal(attempts, 1)
  await pass(44_999)
  t.equal(attempts, 1)
  await pass(1)
  t.equal(attempts, 2)
})
