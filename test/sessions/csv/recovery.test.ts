import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { realFiles } from '../../../src/sessions/csv/files.ts'
import { Journals } from '../../../src/sessions/csv/journals.ts'
import { CsvSessionStore } from '../../../src/sessions/csv/store.ts'
import { HEADER } from '../../fixtures/big-table.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { makeClock, makeLog, START_MS } from '../../fixtures/sessions.ts'

const TIME = new Date(START_MS).toISOString()
const row = (id: string, version = 0): string => `${id},telegram_1,telegram,t-${id},${TIME},${TIME},,"{""v"":${version}}"`
const FILE = `${HEADER}${row('a')}\n${row('b')}\n`
const sha = (text: string): string => createHash('sha256').update(text).digest('hex')

/** A folder with a file in it, and the journals that the steps leave there, as a killed process would. */
async function leave (
  t: Test,
  steps: (journals: Journals, write: (text: string) => void, folder: string) => Promise<void>,
  texts: ReadonlyArray<string | undefined> = [FILE]
): Promise<string> {
  const folder = makeFolder(t)
  const path = join(folder, 'sessions.csv')
  const write = (content: string): void => { writeFileSync(path, content) }
  for (const text of texts) if (text !== undefined) write(text)
  const journals = new Journals(path, { files: realFiles, isSynced: false })
  await steps(journals, write, folder)
  await journals.close()
  return folder
}

/** Starts on a folder twice, and tells what the second start finds: the first must have left it whole. */
async function start (t: Test, folder: string) {
  const path = join(folder, 'sessions.csv')
  const log = makeLog()
  let found: Array<[string, unknown]> = []
  let first: string | undefined
  for (let count = 0; count < 2; count++) {
    const store = new CsvSessionStore({ path, timeoutMs: 60_000, fsync: 'always', now: makeClock().now, log })
    await store.open()
    found = (await store.list({ limit: 1000 })).sessions.map(({ sessionId, metadata }) => [sessionId, metadata.v])
    await store.close()
    t.equal(first ?? readFileSync(path, 'utf8'), readFileSync(path, 'utf8'), 'a second start changes nothing')
    first = readFileSync(path, 'utf8')
    t.notOk(existsSync(`${path}.journal`) || existsSync(`${path}.journal.old`) || existsSync(`${path}.tmp`), 'nothing is left beside it')
  }
  const aside = readdirSync(folder).filter((name) => !['sessions.csv', 'sessions.csv.lock'].includes(name))
  return { found: Object.fromEntries(found), aside, log }
}

t.test('a journal that names the file is laid over it', async (t) => {
  const folder = await leave(t, async (journals) => {
    await journals.start([sha(FILE)])
    await journals.append([`+${row('a', 1)}`, `+${row('c', 1)}`])
    await journals.append(['-b', `+${row('c', 2)}`])
  })
  const { found, aside, log } = await start(t, folder)
  t.same(found, { a: 1, c: 2 })
  t.same(aside, [])
  t.match(log.lines.join('\n'), /info: Recovered 3 changed sessions/)
})

t.test('between the two journals of a rewrite that had not ended, the older one comes first', async (t) => {
  const folder = await leave(t, async (journals) => {
    await journals.start([sha(FILE)])
    await journals.append([`+${row('a', 1)}`, `+${row('b', 1)}`])
    await journals.rotate()
    await journals.append([`+${row('a', 2)}`])
    await journals.recordFile(sha('a file that never took its place'))
  })
  t.same(await start(t, folder).then(({ found, aside }) => ({ found, aside })), { found: { a: 2, b: 1 }, aside: [] })
})

t.test('after the new file took its place, the older journal is spent', async (t) => {
  const next = `${HEADER}${row('a', 1)}\n${row('b', 3)}\n`
  const folder = await leave(t, async (journals, write) => {
    await journals.start([sha(FILE)])
    await journals.append([`+${row('a', 1)}`, `+${row('b', 1)}`])
    await journals.rotate()
    await journals.append([`+${row('b', 3)}`, `+${row('c', 1)}`])
    await journals.recordFile(sha(next))
    write(next)
  })
  t.same(await start(t, folder).then(({ found, aside }) => ({ found, aside })), { found: { a: 1, b: 3, c: 1 }, aside: [] })
})

t.test('after the older journal was removed, the newer one continues the new file', async (t) => {
  const next = `${HEADER}${row('a', 1)}\n`
  const folder = await leave(t, async (journals, write) => {
    await journals.start([sha(FILE)])
    await journals.append([`+${row('a', 1)}`, '-b'])
    await journals.rotate()
    await journals.recordFile(sha(next))
    write(next)
    await journals.dropOlder()
    await journals.append([`+${row('c', 1)}`])
  })
  t.same(await start(t, folder).then(({ found, aside }) => ({ found, aside })), { found: { a: 1, c: 1 }, aside: [] })
})

t.test('a journal that was put aside for the next one, which was never made, counts', async (t) => {
  const folder = await leave(t, async (journals) => {
    await journals.start([sha(FILE)])
    await journals.append([`+${row('a', 1)}`])
    await journals.rotate()
  })
  const older = readFileSync(join(folder, 'sessions.csv.journal.old'), 'utf8')
  for (const content of [undefined, '']) {
    const copy = makeFolder(t, { 'sessions.csv': FILE, 'sessions.csv.journal.old': older })
    if (content !== undefined) writeFileSync(join(copy, 'sessions.csv.journal'), content)
    t.same(await start(t, copy).then(({ found, aside }) => ({ found, aside })), { found: { a: 1, b: 0 }, aside: [] })
  }
})

for (const [title, text] of Object.entries({ 'a restored backup': `${HEADER}${row('old')}\n`, 'a removed file': undefined, 'a touched file': '' })) {
  t.test(`${title} wins: both journals are set aside, with a warning, and not applied`, async (t) => {
    const folder = await leave(t, async (journals) => {
      await journals.start([sha(FILE)])
      await journals.append([`+${row('a', 1)}`])
      await journals.rotate()
      await journals.append([`+${row('c', 1)}`])
    }, [text])
    const contents = ['sessions.csv.journal', 'sessions.csv.journal.old'].map((name) => readFileSync(join(folder, name), 'utf8'))
    const { found, aside, log } = await start(t, folder)
    t.same(found, title === 'a restored backup' ? { old: 0 } : {})
    t.same(aside.map((name) => readFileSync(join(folder, name), 'utf8')).sort(), contents.sort())
    t.ok(aside.every((name) => /^sessions_journal_\d{8}T\d{9}Z(_2)?\.journal$/.test(name)), aside.join())
    t.equal(log.lines.filter((line) => line.startsWith('warn: A journal beside')).length, 2)
  })
}

t.test('a backup that is byte for byte the file that the journal continues is that file', async (t) => {
  const folder = await leave(t, async (journals, write) => {
    await journals.start([sha(FILE)])
    await journals.append([`+${row('a', 1)}`])
    write('')
    write(FILE)
  })
  t.same((await start(t, folder)).found, { a: 1, b: 0 })
})

t.test('a journal of another file that holds no change goes without a word', async (t) => {
  const folder = await leave(t, async (journals) => { await journals.start([sha('another file')]) })
  const { found, aside, log } = await start(t, folder)
  t.same(found, { a: 0, b: 0 })
  t.same(aside, [])
  t.notOk(log.lines.some((line) => line.startsWith('warn')))
})

t.test('a record that holds no change is one like any other', async (t) => {
  const folder = await leave(t, async (journals) => {
    await journals.start([sha(FILE)])
    await journals.append([])
    await journals.append([`+${row('a', 1)}`])
    await journals.append([])
  })
  const { found, log } = await start(t, folder)
  t.same(found, { a: 1, b: 0 })
  t.notOk(log.lines.some((line) => line.startsWith('warn')))
})

t.test('what is no journal, or no file, under that name is set aside', async (t) => {
  for (const make of [
    (path: string) => { writeFileSync(path, 'something else\n') },
    (path: string) => { mkdirSync(path) },
    (path: string) => { symlinkSync('/dev/null', path) }
  ]) {
    const folder = makeFolder(t, { 'sessions.csv': FILE })
    make(join(folder, 'sessions.csv.journal'))
    const { found, aside } = await start(t, folder)
    t.same(found, { a: 0, b: 0 })
    t.equal(aside.length, 1)
  }
})

t.test('a left-over temporary file is removed, and nothing of it read', async (t) => {
  const folder = makeFolder(t, { 'sessions.csv': FILE, 'sessions.csv.tmp': `${HEADER}${row('z')}\n` })
  t.same(await start(t, folder).then(({ found, aside }) => ({ found, aside })), { found: { a: 0, b: 0 }, aside: [] })
})

t.test('a journal keeps columns that the service does not know', async (t) => {
  const text = `${HEADER.trim()},note\n${row('a')},x\n`
  const folder = await leave(t, async (journals) => {
    await journals.start([sha(text)])
    await journals.append([`+${row('a', 1)},"y, z"`])
  }, [text])
  t.same((await start(t, folder)).found, { a: 1 })
  t.match(readFileSync(join(folder, 'sessions.csv'), 'utf8'), '"{""v"":1}","y, z"\n')
})

/** Three records; after each of them what the table is. */
const RECORDS = [[`+${row('a', 1)}`], ['-b', `+${row('c', 1)}`], [`+${row('a', 2)}`, `+${row('d', 9)}`]]
const STATES = [{ a: 0, b: 0 }, { a: 1, b: 0 }, { a: 1, c: 1 }, { a: 2, c: 1, d: 9 }]

t.test('a journal cut at any byte gives all whole records before the cut, and says what it cut off', async (t) => {
  const ends: number[] = []
  const folder = await leave(t, async (journals, _write, folder) => {
    await journals.start([sha(FILE)])
    for (const record of [[], ...RECORDS]) {
      if (record.length > 0) await journals.append(record)
      ends.push(statSync(join(folder, 'sessions.csv.journal')).size)
    }
  })
  const journal = readFileSync(join(folder, 'sessions.csv.journal'))
  for (let cut = 0; cut <= journal.length; cut++) {
    const copy = makeFolder(t, { 'sessions.csv': FILE })
    writeFileSync(join(copy, 'sessions.csv.journal'), journal.subarray(0, cut))
    const { found, aside, log } = await start(t, copy)
    const whole = ends.filter((end) => end <= cut).length - 1
    t.same(found, STATES[Math.max(whole, 0)], `cut at ${cut}`)
    const isSilent = cut === 0 || ends.includes(cut)
    t.equal(log.lines.some((line) => line.startsWith('warn')), !isSilent, `cut at ${cut}: a warning`)
    // One that lacks its first record names no file.
    t.equal(aside.length, whole < 0 && cut > 0 ? 1 : 0)
  }
})

t.test('a journal with a wrong byte gives the records before it, and is kept as a whole', async (t) => {
  const folder = await leave(t, async (journals) => {
    await journals.start([sha(FILE)])
    for (const record of RECORDS) await journals.append(record)
  })
  const journal = readFileSync(join(folder, 'sessions.csv.journal'))
  for (let place = 0; place < journal.length; place += 3) {
    const damaged = Buffer.from(journal)
    damaged.writeUInt8((journal[place] ?? 0) ^ 0x11, place)
    const copy = makeFolder(t, { 'sessions.csv': FILE })
    writeFileSync(join(copy, 'sessions.csv.journal'), damaged)
    const { found, aside, log } = await start(t, copy)
    t.ok(STATES.some((state) => JSON.stringify(state) === JSON.stringify(found)), `byte ${place}: ${JSON.stringify(found)}`)
    t.ok(log.lines.some((line) => /^(warn|error)/.test(line)), `byte ${place} is not passed over in silence`)
    const end = journal.lastIndexOf('~')
    // Where its end is gone, the last record looks cut off.
    if (damaged.subarray(end).equals(journal.subarray(end))) t.same(aside.map((name) => readFileSync(join(copy, name))), [damaged], `byte ${place}`)
  }
})

t.test('a file cut at any byte is another file: its journal is set aside, a torn row too', async (t) => {
  const folder = await leave(t, async (journals) => {
    await journals.start([sha(FILE)])
    await journals.append([`+${row('a', 1)}`])
  })
  const journal = readFileSync(join(folder, 'sessions.csv.journal'), 'utf8')
  for (let cut = HEADER.length; cut < FILE.length; cut += 5) {
    const copy = makeFolder(t, { 'sessions.csv': FILE.slice(0, cut), 'sessions.csv.journal': journal })
    const { found, aside } = await start(t, copy)
    for (const version of Object.values(found)) t.equal(version, 0)
    t.equal(aside.filter((name) => name.startsWith('sessions_journal_')).length, 1)
    t.equal(Object.keys(found).length + aside.filter((name) => name.startsWith('sessions_rejected_')).length, FILE.slice(HEADER.length, cut).split('\n').filter(Boolean).length, `cut at ${cut}`)
  }
})

t.test('an older journal that is not whole ends what is applied: the newer one is set aside', async (t) => {
  const folder = await leave(t, async (journals) => {
    await journals.start([sha(FILE)])
    await journals.append([`+${row('a', 1)}`])
    await journals.append([`+${row('b', 1)}`])
    await journals.rotate()
    await journals.append([`+${row('c', 1)}`])
  })
  const older = join(folder, 'sessions.csv.journal.old')
  writeFileSync(older, readFileSync(older).subarray(0, -4))
  const { found, aside } = await start(t, folder)
  t.same(found, { a: 1, b: 0 })
  t.equal(aside.length, 1)
})

t.test('an older journal cut off while nothing was in the newer one lacks nothing', async (t) => {
  const folder = await leave(t, async (journals) => {
    await journals.start([sha(FILE)])
    await journals.append([`+${row('a', 1)}`])
    await journals.append([`+${row('b', 1)}`])
    await journals.rotate()
  })
  const older = join(folder, 'sessions.csv.journal.old')
  writeFileSync(older, readFileSync(older).subarray(0, -4))
  t.same(await start(t, folder).then(({ found, aside }) => ({ found, aside })), { found: { a: 1, b: 0 }, aside: [] })
})
