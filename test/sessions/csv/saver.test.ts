import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { realFiles, type FileOperations } from '../../../src/sessions/csv/files.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import { BIG, makeBigFile } from '../../fixtures/big-table.ts'
import { makeFailingFiles } from '../../fixtures/failing-files.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { makeGate } from '../../fixtures/gate.ts'
import { makeClock, makeLog, makeSession } from '../../fixtures/sessions.ts'

const FILE = makeBigFile()

/** An open store on a file of so many sessions that changes go into a journal. */
async function setUp (t: Test, { text = FILE, code = 'EIO', retryMs = 20, folder = makeFolder(t) } = {}) {
  const path = join(folder, 'sessions.csv')
  writeFileSync(path, text)
  const log = makeLog()
  const failing = makeFailingFiles(realFiles, code)
  const store = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'always', now: makeClock().now, log, files: failing.files, retryMs })
  t.after(() => store.close())
  const read = (): string => readFileSync(path, 'utf8')
  const aside = (): string[] => readdirSync(folder).filter((name) => !name.startsWith('sessions.csv'))
  return { store, path, folder, log, failing, read, aside }
}

async function until (holds: () => boolean): Promise<void> {
  while (!holds()) await wait(5)
}

/** What a new process finds on the folder. */
async function reopen (path: string, fields: (store: CsvSessionStore) => Promise<unknown>): Promise<unknown> {
  const store = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'never', now: makeClock().now, log: makeLog() })
  await store.open()
  try {
    return await fields(store)
  } finally {
    await store.close()
  }
}

t.test('up to a thousand sessions the file holds a change before it is acknowledged; one more, and the journal does', async (t) => {
  const { store, path, read } = await setUp(t, { text: makeBigFile(999) })
  await store.open()
  await store.create(makeSession({ sessionId: 'exact' }))
  t.match(read(), /\nexact,/)
  t.notOk(existsSync(`${path}.journal`))
  await store.create(makeSession({ sessionId: 'beyond' }))
  t.notMatch(read(), /\nbeyond,/)
  t.match(readFileSync(`${path}.journal`, 'utf8'), /^holdline-journal 1 [0-9a-f-]{36} -\n=[0-9a-f]{64}\n~[0-9a-f]{8}\n\+beyond,.*\n~[0-9a-f]{8}\n$/)
  t.equal(statSync(`${path}.journal`).mode & 0o777, 0o600)
  await store.delete('beyond')
  t.notMatch(read(), /\nbeyond,/)
  t.notOk(existsSync(`${path}.journal`), 'small again, and exact')
  await store.close()
})

t.test('a file over one mebibyte is followed by a journal, however few its sessions', async (t) => {
  const { store, path } = await setUp(t, { text: makeBigFile(1) })
  await store.open()
  const metadata = { text: 'é'.repeat(60_000) }
  for (let index = 0; index < 8; index++) await store.create(makeSession({ sessionId: `s-${index}`, metadata }))
  t.notOk(existsSync(`${path}.journal`), 'in bytes, not in characters')
  await store.create(makeSession({ sessionId: 's-8', metadata }))
  t.ok(existsSync(`${path}.journal`))
})

t.test('the file follows by itself, and the older journal goes', async (t) => {
  const { store, path, read } = await setUp(t)
  await store.open()
  await store.create(makeSession({ sessionId: 'new' }))
  await store.delete('big-5')
  await until(() => /\nnew,/.test(read()) && !existsSync(`${path}.journal.old`))
  t.notMatch(read(), /\nbig-5,/)
  t.equal(statSync(`${path}.journal`).size < 300, true, 'what the file holds is not in the journal')
})

t.test('a close leaves the file whole and alone', async (t) => {
  const { store, path, folder, read } = await setUp(t)
  await store.open()
  await store.create(makeSession({ sessionId: 'new' }))
  await store.close()
  t.match(read(), /\nnew,/)
  t.same(readdirSync(folder).sort(), ['sessions.csv', 'sessions.csv.lock'])
  t.equal(read().split('\n').length, BIG + 3)
  t.equal(await reopen(path, async (store) => (await store.count()).count), BIG + 1)
})

t.test('changes during rewrites come once each, and all of them', async (t) => {
  const { store, path, read } = await setUp(t, { text: makeBigFile(1100) })
  await store.open()
  let rewrites = 0
  let inode = statSync(path).ino
  const versions = new Map<string, number>()
  for (let version = 0; rewrites < 3; version++) {
    await Promise.all([1, 2, 3].map(async (writer) => {
      const sessionId = `big-${(version * 3 + writer) % 200}`
      if (version % 7 === 0) {
        const removed = await store.delete(sessionId)
        versions.delete(sessionId)
        if (removed !== undefined) await store.create({ ...removed, metadata: { version } })
      } else {
        await store.update(sessionId, (session) => ({ ...session, metadata: { version } }))
      }
      versions.set(sessionId, version)
    }))
    const now = statSync(path).ino
    if (now === inode) continue
    inode = now
    rewrites++
    const ids = read().trim().split('\n').map((line) => line.split(',')[0])
    t.equal(new Set(ids).size, ids.length, 'no session twice')
  }
  await store.close()
  const found = await reopen(path, async (store) => {
    return Object.fromEntries(await Promise.all([...versions.keys()].map(async (id) => [id, (await store.get(id))?.metadata.version])))
  })
  t.same(found, Object.fromEntries(versions))
})

t.test('a file that somebody else restored while the service runs stays until a session changes after that', async (t) => {
  const { store, path, folder, read, aside } = await setUp(t)
  await store.open()
  const theirs = makeBigFile(3)
  writeFileSync(join(folder, 'backup.csv'), theirs)
  await store.create(makeSession({ sessionId: 'before' }))
  copyFileSync(join(folder, 'backup.csv'), path)
  // The rewrite for the change before is due about a quarter of a second after it.
  await wait(500)
  t.equal(read(), theirs)
  t.same(aside(), ['backup.csv'])
  await store.create(makeSession({ sessionId: 'after' }))
  await until(() => /\nafter,/.test(read()))
  t.match(read(), /\nbefore,/)
  const kept = aside().filter((name) => name.startsWith('sessions_conflict_'))
  t.equal(kept.length, 1)
  t.equal(readFileSync(join(folder, kept[0] ?? ''), 'utf8'), theirs)
  t.equal(store.status().reason, undefined)
})

/** The folder as a kill in this instant would leave it. */
function leaveAsKilled (folder: string, to: string): string {
  mkdirSync(to)
  for (const name of readdirSync(folder)) if (!name.endsWith('.lock') && name !== basename(to)) copyFileSync(join(folder, name), join(to, name))
  return join(to, 'sessions.csv')
}

for (const how of ['restored', 'removed'] as const) {
  t.test(`a change after the file was ${how} outlives a kill in the instant in which it is acknowledged`, async (t) => {
    const { store, path, folder, read } = await setUp(t)
    await store.open()
    await store.create(makeSession({ sessionId: 'before' }))
    const theirs = makeBigFile(3)
    if (how === 'restored') writeFileSync(path, theirs)
    else rmSync(path)
    await store.create(makeSession({ sessionId: 'after' }))
    const killed = leaveAsKilled(folder, join(folder, 'killed'))
    t.match(read(), /\nbefore,/)
    t.ok(await reopen(killed, async (next) => await next.get('after')))
    const kept = readdirSync(join(folder, 'killed')).filter((name) => name.startsWith('sessions_conflict_'))
    t.same(kept.map((name) => readFileSync(join(folder, 'killed', name), 'utf8')), how === 'restored' ? [theirs] : [])
  })
}

t.test('where somebody removed the journal, a complete file takes its place, and what is acknowledged after that outlives a kill', async (t) => {
  const { store, path, folder, read, log } = await setUp(t)
  await store.open()
  await store.create(makeSession({ sessionId: 'before' }))
  rmSync(`${path}.journal`)
  await until(() => /\nbefore,/.test(read()))
  await store.create(makeSession({ sessionId: 'after' }))
  const killed = leaveAsKilled(folder, join(folder, 'killed'))
  t.same(await reopen(killed, async (next) => [(await next.get('before'))?.sessionId, (await next.get('after'))?.sessionId]), ['before', 'after'])
  t.match(log.lines.filter((line) => line.startsWith('error')), [/: The journal of the session file broke: /])
  await until(() => store.status().reason === undefined)
})

t.test('a rename of the journal that happened although it was reported as failed is got over, and leaves nothing', async (t) => {
  const folder = makeFolder(t)
  const path = join(folder, 'sessions.csv')
  writeFileSync(path, FILE)
  let isFailing = true
  const files: FileOperations = {
    ...realFiles,
    rename: async (from, to) => {
      await realFiles.rename(from, to)
      if (isFailing && to.endsWith('.journal.old')) {
        isFailing = false
        throw Object.assign(new Error('EIO: as told'), { code: 'EIO' })
      }
    }
  }
  const store = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'always', now: makeClock().now, log: makeLog(), files, retryMs: 20 })
  t.after(() => store.close())
  await store.open()
  await store.create(makeSession({ sessionId: 'new' }))
  await until(() => /\nnew,/.test(readFileSync(path, 'utf8')))
  t.notOk(isFailing)
  await store.close()
  t.same(readdirSync(folder).sort(), ['sessions.csv', 'sessions.csv.lock'])
})

t.test('while no complete file can be written, changes are refused without an attempt each', async (t) => {
  const { store, failing } = await setUp(t, { retryMs: 1_000_000 })
  await store.open()
  await store.create(makeSession({ sessionId: 'before' }))
  failing.failWhen = (_, name) => name === 'syncData' || name === 'sync'
  failing.calls.length = 0
  for (let index = 0; index < 10; index++) await t.rejects(store.create(makeSession({ sessionId: `refused-${index}` })), { code: 'STORE_UNAVAILABLE' })
  t.equal(failing.calls.filter((name) => name === 'create').length, 1, 'one attempt at a complete file')
  failing.reset()
})

t.test('a full disk that takes records again is found out by a record, not by a complete file', async (t) => {
  const { store, failing, log } = await setUp(t, { code: 'ENOSPC' })
  await store.open()
  await store.create(makeSession({ sessionId: 'before' }))
  failing.failWhen = (_, name) => name === 'write'
  await t.rejects(store.create(makeSession({ sessionId: 'refused' })), { code: 'STORE_UNAVAILABLE' })
  failing.failWhen = (_, name) => name === 'create'
  await log.waitFor('Sessions can be saved again')
  await store.create(makeSession({ sessionId: 'after' }))
  failing.reset()
})

t.test('a change before one that was refused comes into the file by itself', async (t) => {
  const { store, failing, read } = await setUp(t, { code: 'ENOSPC', retryMs: 600 })
  await store.open()
  await store.create(makeSession({ sessionId: 'before' }))
  failing.failWhen = (_, name) => name === 'write'
  await t.rejects(store.create(makeSession({ sessionId: 'refused' })), { code: 'STORE_UNAVAILABLE' })
  failing.reset()
  await until(() => /\nbefore,/.test(read()))
  t.notMatch(read(), /refused/)
})

t.test('a change that is refused since a removed file could not be written again is gone, should that file come back', async (t) => {
  const { store, path, folder, failing, log } = await setUp(t, { code: 'ENOSPC' })
  await store.open()
  await store.create(makeSession({ sessionId: 'before' }))
  renameSync(path, join(folder, 'away'))
  failing.failWhen = (_, name) => name === 'create'
  await t.rejects(store.create(makeSession({ sessionId: 'refused' })), { code: 'STORE_UNAVAILABLE' })
  await t.rejects(store.delete('before'), { code: 'STORE_UNAVAILABLE' })
  renameSync(join(folder, 'away'), path)
  await log.waitFor('Sessions can be saved again')
  await store.create(makeSession({ sessionId: 'after' }))
  const killed = leaveAsKilled(folder, join(folder, 'killed'))
  failing.reset()
  const found = await reopen(killed, async (next) => await Promise.all(['before', 'refused', 'after'].map(async (id) => (await next.get(id))?.sessionId)))
  t.same(found, ['before', undefined, 'after'])
})

t.test('a file that somebody moved away for a while follows its journal again', async (t) => {
  const { store, path, folder, read } = await setUp(t)
  await store.open()
  await store.create(makeSession({ sessionId: 'new' }))
  renameSync(path, join(folder, 'away'))
  await wait(500)
  t.notOk(existsSync(path), 'it stays away until a session changes')
  renameSync(join(folder, 'away'), path)
  await until(() => /\nnew,/.test(read()))
})

t.test('why a complete file could not be written is no reason any more once changes were saved', async (t) => {
  const { store, failing } = await setUp(t, { retryMs: 1_000_000 })
  await store.open()
  failing.failWhen = (_, name) => name === 'syncData' || name === 'sync'
  for (const sessionId of ['one', 'two']) await t.rejects(store.create(makeSession({ sessionId })), { code: 'STORE_UNAVAILABLE' })
  failing.reset()
  await Promise.all(['big-1', 'big-2'].map((id) => store.delete(id)))
  await store.create(makeSession({ sessionId: 'three' }))
  await store.create(makeSession({ sessionId: 'four' }))
  failing.failWhen = (_, name) => name === 'syncData'
  await t.rejects(store.create(makeSession({ sessionId: 'five' })), { code: 'STORE_UNAVAILABLE' })
  failing.reset()
  await store.create(makeSession({ sessionId: 'six' }))
  t.same(store.status(), { kind: 'csv', canSave: true })
})

t.test('a change is not refused because a rewrite has taken the room that its record needs', async (t) => {
  const folder = makeFolder(t)
  const path = join(folder, 'sessions.csv')
  writeFileSync(path, FILE)
  const [isTaken, isToFail] = [makeGate(), makeGate()]
  let isFull = false
  const full = (): Error => Object.assign(new Error('ENOSPC: as told'), { code: 'ENOSPC' })
  const fill = async (): Promise<never> => {
    isFull = true
    isTaken.open()
    await isToFail.opened
    throw full()
  }
  const files: FileOperations = {
    ...realFiles,
    create: async (name) => {
      const file = await realFiles.create(name)
      if (name === `${path}.tmp`) return { ...file, write: fill }
      return { ...file, write: async (bytes) => { if (isFull) throw full(); return await file.write(bytes) } }
    },
    remove: async (name) => {
      await realFiles.remove(name)
      if (name === `${path}.tmp`) isFull = false
    }
  }
  const store = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'always', now: makeClock().now, log: makeLog(), files, retryMs: 1_000_000 })
  t.after(() => store.close().catch(() => {}))
  await store.open()
  await store.create(makeSession({ sessionId: 'before' }))
  // The timer of the rewrite does not keep the process alive.
  const alive = setInterval(() => {}, 1000)
  t.after(() => { clearInterval(alive) })
  await isTaken.opened
  const change = store.create(makeSession({ sessionId: 'beside' }))
  await wait(20)
  isToFail.open()
  await change
  t.ok(await store.get('beside'))
})

t.test('once somebody restored the file, it does not lag behind any more', async (t) => {
  const { store, path, failing } = await setUp(t, { code: 'ENOSPC' })
  await store.open()
  failing.failWhen = (_, name) => name === 'create'
  await store.create(makeSession({ sessionId: 'new' })).catch(() => {})
  failing.failWhen = (_, name) => name === 'sync'
  await store.create(makeSession({ sessionId: 'newer' })).catch(() => {})
  await until(() => store.status().reason !== undefined)
  failing.reset()
  writeFileSync(path, makeBigFile(3))
  await until(() => store.status().reason === undefined)
  t.equal(readFileSync(path, 'utf8'), makeBigFile(3))
})

for (const how of ['restored', 'removed'] as const) {
  t.test(`a close leaves a file that was ${how} while the service ran, and keeps the sessions of the run`, async (t) => {
    const { store, path, folder, aside } = await setUp(t)
    await store.open()
    await store.create(makeSession({ sessionId: 'new' }))
    if (how === 'restored') writeFileSync(path, makeBigFile(3))
    else rmSync(path)
    await store.close()
    t.equal(existsSync(path) && readFileSync(path, 'utf8'), how === 'restored' && makeBigFile(3))
    t.match(readFileSync(join(folder, aside()[0] ?? ''), 'utf8'), /\nnew,/)
    t.same(readdirSync(folder).filter((name) => name.includes('journal')), [])
    t.equal(await reopen(path, async (store) => (await store.count()).count), how === 'restored' ? 3 : 0)
  })
}

for (const code of ['EIO', 'ENOSPC']) {
  t.test(`a change whose journal record fails with ${code} is refused and gone, and the store recovers by itself`, async (t) => {
    for (const name of ['write', 'syncData']) {
      const { store, path, failing, log } = await setUp(t, { code })
      await store.open()
      await store.create(makeSession({ sessionId: 'before' }))
      failing.failWhen = (_, called) => called === name
      await t.rejects(store.create(makeSession({ sessionId: 'refused' })), { code: 'STORE_UNAVAILABLE' })
      t.match(store.status(), { canSave: false, reason: String })
      t.equal((await store.get('before'))?.sessionId, 'before', 'reads are served')
      // As a killed process would leave it.
      const journal = readFileSync(`${path}.journal`, 'utf8')
      t.notMatch(journal, /refused/)
      failing.reset()
      await log.waitFor('Sessions can be saved again')
      t.same(store.status(), { kind: 'csv', canSave: true })
      await store.create(makeSession({ sessionId: 'after' }))
      await store.close()
      t.same(await reopen(path, async (store) => (await store.findByUser('telegram_1')).map(({ sessionId }) => sessionId).sort()), ['after', 'before', 'big-1'])
    }
  })
}

t.test('while only the rewrite fails, changes are saved and the status says why the file lags', async (t) => {
  const { store, failing, log, read } = await setUp(t, { code: 'ENOSPC' })
  await store.open()
  await store.create(makeSession({ sessionId: 'first' }))
  failing.failWhen = (_, name) => name === 'create'
  await log.waitFor('the session file cannot be rewritten: no space left')
  t.same(store.status(), { kind: 'csv', canSave: true, reason: 'the session file cannot be rewritten: no space left' })
  await store.create(makeSession({ sessionId: 'second' }))
  t.notMatch(read(), /\nfirst,/)
  failing.reset()
  await log.waitFor('The session file can be rewritten again')
  t.same(store.status(), { kind: 'csv', canSave: true })
  await until(() => /\nsecond,/.test(read()))
})

/** Open, changes, a rewrite, changes again, close; tells what was acknowledged. */
async function run (store: CsvSessionStore, path: string, acknowledged: Map<string, boolean>, hasEnded: () => boolean): Promise<void> {
  const save = async (sessionId: string, isThere: boolean): Promise<void> => {
    try {
      if (isThere) await store.create(makeSession({ sessionId }))
      else await store.delete(sessionId)
      acknowledged.set(sessionId, isThere)
    } catch (error) {
      // Refused: it is as it was, or as it was asked to be.
      acknowledged.delete(sessionId)
    }
  }
  try {
    await store.open()
  } catch {
    return
  }
  await save('a', true)
  await save('big-7', false)
  await until(() => hasEnded() || !acknowledged.has('a') || /\na,/.test(readFileSync(path, 'utf8')) || store.status().reason !== undefined)
  await Promise.all([save('b', true), save('a', false)])
  await save('c', true)
}

async function check (t: Test, path: string, acknowledged: Map<string, boolean>, comment: string): Promise<void> {
  const found = await reopen(path, async (store) => {
    const sessions = new Map<string, boolean>()
    for (const id of acknowledged.keys()) sessions.set(id, await store.get(id) !== undefined)
    return sessions
  })
  t.same(found, acknowledged, comment)
}

/** Runs a case for 1, 2, 3, … until one says that there is no more, some of them at a time: most of their time is waiting. */
async function forEachOperation (t: Test, tryOperation: (nth: number, folder: string) => Promise<boolean>): Promise<void> {
  const folder = makeFolder(t)
  let next = 1
  let isReached = true
  await Promise.all(Array.from({ length: 12 }, async () => {
    while (isReached) {
      const nth = next++
      const own = join(folder, `${nth}`)
      mkdirSync(own)
      isReached = await tryOperation(nth, own) && isReached
    }
  }))
}

t.test('a process that ends at any file operation loses nothing that was acknowledged, and leaves nothing to set aside', async (t) => {
  await forEachOperation(t, async (last, folder) => {
    const { store, path, failing, aside } = await setUp(t, { folder })
    failing.failWhen = (call) => call > last
    const acknowledged = new Map<string, boolean>()
    await run(store, path, acknowledged, () => failing.calls.length > last)
    await store.close().catch(() => {})
    const isReached = failing.calls.length > last
    const name = `after operation ${last} (${failing.calls[last - 1]})`
    await check(t, path, acknowledged, name)
    t.same(aside(), [], name)
    return isReached
  })
})

t.test('whichever file operation fails, nothing acknowledged is lost, and the store works again', async (t) => {
  await forEachOperation(t, async (nth, folder) => {
    const { store, path, failing, aside } = await setUp(t, { folder })
    failing.failWhen = (call) => call === nth
    const acknowledged = new Map<string, boolean>()
    await run(store, path, acknowledged, () => false)
    const isReached = failing.calls.length >= nth
    const name = `operation ${nth} (${failing.calls[nth - 1]})`
    failing.reset()
    if (store.status().reason !== 'the store is closed') {
      await until(() => store.status().reason === undefined)
      await store.create(makeSession({ sessionId: 'works' }))
      acknowledged.set('works', true)
      await store.close()
    }
    await check(t, path, acknowledged, name)
    t.same(aside(), [], name)
    return isReached
  })
})
