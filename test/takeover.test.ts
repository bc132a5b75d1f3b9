import * as fs from 'node:fs'
import { chownSync, linkSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { takeOver, type OwnerFiles } from '../src/takeover.ts'
import { makeFolder } from './fixtures/folder.ts'

const USER = { uid: 4321, gid: 4322 }
const isRoot = process.geteuid?.() === 0
const skip = isRoot ? false : 'only root can give files away'

function ownerOf (path: string): string {
  const { uid, gid } = lstatSync(path)
  return `${uid}:${gid}`
}

function make (t: Test, names: readonly string[]): string {
  return makeFolder(t, Object.fromEntries(names.map(name => [name, ''])))
}

t.test('the folder and what the service keeps in it become the user\'s; the rest stays whose it is', { skip }, async t => {
  const ours = [
    'sessions.csv', 'sessions.csv.lock', 'sessions.csv.journal', 'sessions.csv.tmp', 'sessions_rejected_20260101.csv', 'sessions_journal_1.journal',
    'conversations.sqlite', 'conversations.sqlite-wal', 'conversations.sqlite-shm', 'conversations.sqlite-check', 'conversations.sqlite.lock'
  ]
  const others = ['notes.txt', 'mysessions.csv', 'sessions', 'id_rsa']
  const dir = make(t, [...ours, ...others])
  mkdirSync(join(dir, 'sessions_below'))
  writeFileSync(join(dir, 'sessions_below', 'sessions.csv'), '')
  takeOver([join(dir, 'sessions.csv'), join(dir, 'conversations.sqlite')], USER)
  t.equal(ownerOf(dir), '4321:4322')
  for (const name of ours) t.equal(ownerOf(join(dir, name)), '4321:4322', name)
  for (const name of [...others, 'sessions_below', 'sessions_below/sessions.csv']) t.equal(ownerOf(join(dir, name)), '0:0', name)
})

t.test('no link leads out: neither a symbolic nor a hard one gives another file away', { skip }, async t => {
  const root = make(t, ['passwd', 'shadow'])
  const dir = join(root, 'data')
  mkdirSync(dir)
  symlinkSync('../passwd', join(dir, 'sessions.csv'))
  linkSync(join(root, 'shadow'), join(dir, 'sessions.csv.lock'))
  symlinkSync('nowhere', join(dir, 'sessions.csv.journal'))
  takeOver([join(dir, 'sessions.csv')], USER)
  t.equal(ownerOf(dir), '4321:4322')
  t.equal(ownerOf(join(root, 'passwd')), '0:0')
  t.equal(ownerOf(join(root, 'shadow')), '0:0')
  t.equal(ownerOf(join(dir, 'sessions.csv')), '0:0', 'the link itself')
})

t.test('a folder behind a link is not given away: the start says so, unless the user may write there', { skip }, async t => {
  const root = make(t, [])
  mkdirSync(join(root, 'etc'), 0o755)
  mkdirSync(join(root, 'data'))
  symlinkSync('../etc', join(root, 'data', 'sub'))
  const path = join(root, 'data', 'sub', 'sessions.csv')
  t.throws(() => { takeOver([path], USER) }, { code: 'FILE_INVALID', message: /^\S+\/data\/sub leads through a symbolic link to \S+\/etc, .*name \S+\/etc itself$/ })
  t.equal(ownerOf(join(root, 'etc')), '0:0')
  t.throws(() => { takeOver([join(root, 'data', 'sub', 'new', 'sessions.csv')], USER) }, { code: 'FILE_INVALID' })
  t.notOk(fs.existsSync(join(root, 'etc', 'new')), 'nor is anything made there')
  chownSync(join(root, 'etc'), USER.uid, USER.gid)
  takeOver([path], USER)
})

t.test('a missing folder is made, for the user alone', { skip }, async t => {
  const dir = make(t, [])
  takeOver([join(dir, 'a', 'b', 'sessions.csv')], USER)
  for (const path of ['a', 'a/b']) {
    t.equal(ownerOf(join(dir, path)), '4321:4322')
    t.equal(statSync(join(dir, path)).mode & 0o777, 0o700)
  }
  t.equal(ownerOf(dir), '0:0', 'the folder above is not ours')
})

t.test('a folder that the user may write in anyway stays whose it is', { skip }, async t => {
  const dir = make(t, [])
  for (const [name, mode, gid] of [['shared', 0o1777, 0], ['group', 0o770, USER.gid]] as const) {
    const folder = join(dir, name)
    mkdirSync(folder)
    fs.chmodSync(folder, mode)
    chownSync(folder, 0, gid)
    takeOver([join(folder, 'sessions.csv')], USER)
    t.equal(ownerOf(folder), `0:${gid}`, name)
  }
})

t.test('a folder of the system is never given away', { skip }, async t => {
  for (const path of ['/sessions.csv', '/etc/sessions.csv', '/usr/lib/sessions.csv', '/var/sessions.csv']) {
    const given: unknown[] = []
    const files: OwnerFiles = { ...fs, fchownSync: (...args) => { given.push(args) } }
    t.throws(() => { takeOver([path], USER, files) }, { code: 'FILE_INVALID', message: /is a folder of the system/ }, path)
    t.same(given, [])
  }
})

t.test('nor is the folder of the program, which root starts again', { skip }, async t => {
  const root = fileURLToPath(new URL('..', import.meta.url))
  for (const path of [join(root, 'sessions.csv'), join(root, 'src', 'sessions.csv')]) {
    const given: unknown[] = []
    const files: OwnerFiles = { ...fs, fchownSync: (...args) => { given.push(args) } }
    t.throws(() => { takeOver([path], USER, files) }, { code: 'FILE_INVALID', message: /is a folder of the program/ }, path)
    t.same(given, [])
  }
})

t.test('a second run finds nothing to do, and reads what it finds', { skip }, async t => {
  const dir = make(t, ['sessions.csv'])
  takeOver([join(dir, 'sessions.csv')], USER)
  const given: unknown[] = []
  takeOver([join(dir, 'sessions.csv')], USER, { ...fs, fchownSync: (...args) => { given.push(args) } })
  t.same(given, [])
  t.equal(readFileSync(join(dir, 'sessions.csv'), 'utf8'), '')
})

t.test('a volume that refuses ends the start in one line that says what to do', async t => {
  const dir = make(t, [])
  for (const code of ['EPERM', 'EROFS']) {
    const files: OwnerFiles = { ...fs, fchownSync: () => { throw Object.assign(new Error(`${code}: refused, fchown`), { code }) } }
    t.throws(() => { takeOver([join(dir, 'sessions.csv')], USER, files) }, {
      code: 'FILE_INVALID', message: `${dir} cannot be given to RUN_AS=4321:4322 (${code}: refused, fchown): give it to 4321:4322 where the volume is kept, or start the process as its owner`
    })
  }
})

t.test('a folder that root may not look into is left to its owner', async t => {
  const dir = make(t, ['sessions.csv'])
  const openSync: OwnerFiles['openSync'] = () => { throw Object.assign(new Error('EACCES'), { code: 'EACCES' }) }
  takeOver([join(dir, 'sessions.csv')], USER, { ...fs, openSync })
  t.equal(ownerOf(dir), `${process.getuid?.()}:${process.getgid?.()}`)
})
