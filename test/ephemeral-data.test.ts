import t from 'tap'
import { findEphemeralFolders, type FolderFiles } from '../src/ephemeral-data.ts'
import type { Environment } from '../src/config.ts'
import { startApp } from './fixtures/app.ts'
import { noSmallDisk, SmallDisk } from './fixtures/small-disk.ts'

const OVERLAY = 0x794c7630
const TMPFS = 0x01021994
const EXT4 = 0xef53

/** A machine whose folders lie on file systems of these types; the volume is a device of its own. */
function makeFiles (type: number, { dev = 2 } = {}): FolderFiles {
  return { statfs: async () => ({ type }), stat: async path => ({ dev: path === '/' ? 1 : dev }) }
}

const RAILWAY = { RAILWAY_PROJECT_ID: 'p', RAILWAY_SERVICE_ID: 's' }
const PATHS = ['/data/sessions.csv', '/data/conversations.sqlite']

async function find (env: Environment, files: FolderFiles, paths: readonly string[] = PATHS) {
  return await findEphemeralFolders(paths, env, files)
}

t.test('on each platform, a folder on the container\'s own file system is found, with what to do there', async t => {
  const cases: [Environment, string, RegExp][] = [
    [RAILWAY, 'Railway', /attach a volume .* \/data$/],
    [{ RENDER: 'true' }, 'Render', /add a disk .* \/data$/],
    [{ FLY_APP_NAME: 'holdline' }, 'Fly.io', /\[mounts\] .*destination = "\/data"$/]
  ]
  for (const [env, platform, nextStep] of cases) {
    t.match(await find(env, makeFiles(OVERLAY)), [{ folder: '/data', platform, fileSystem: 'overlay', nextStep }])
    t.match(await find(env, makeFiles(TMPFS)), [{ platform, fileSystem: 'tmpfs' }])
    t.match(await find(env, makeFiles(EXT4, { dev: 1 })), [{ platform, fileSystem: 'root' }], 'a disk that is the root of the container')
  }
})

t.test('a volume is none, and neither is anything on another machine', async t => {
  for (const env of [RAILWAY, { RENDER: 'true' }, { FLY_APP_NAME: 'x' }]) t.same(await find(env, makeFiles(EXT4)), [])
  for (const env of [{}, { RENDER: '' }, { RENDERER: 'x', MY_RAILWAY_PROJECT_ID: 'x', RAILWAY_TOKEN: 'x' }]) t.same(await find(env, makeFiles(OVERLAY)), [])
})

t.test('each folder is told once; one that is not there is none', async t => {
  t.same((await find(RAILWAY, makeFiles(TMPFS), ['/a/x', '/a/y', '/b/z'])).map(({ folder }) => folder), ['/a', '/b'])
  const missing: FolderFiles = { ...makeFiles(TMPFS), statfs: async () => { throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' }) } }
  t.same(await find(RAILWAY, missing), [])
})

t.test('a folder is told by its whole path, which is what a platform wants to know', async t => {
  t.match(await find(RAILWAY, makeFiles(OVERLAY), ['sessions.csv']), [{ folder: process.cwd(), nextStep: new RegExp(`${process.cwd()}$`) }])
})

t.test('a failure to tell is no silence', async t => {
  const failing: FolderFiles = { ...makeFiles(TMPFS), statfs: async () => { throw new Error('no statfs') } }
  await t.rejects(find(RAILWAY, failing), { message: 'no statfs' })
})

t.test('the service warns once at its start, and starts', { skip: noSmallDisk }, async t => {
  const { dir } = SmallDisk.mount(t)
  const warnings = async (env: Record<string, string>) => {
    const logged: Record<string, unknown>[] = []
    const app = await startApp(t, { dir, env, logged })
    t.equal((await app.get('/health/live')).status, 200)
    await app.app.close()
    return logged.filter(line => line.level === 40)
  }
  t.match(await warnings({ RENDER: 'true' }), [{ folder: dir, platform: 'Render', file_system: 'tmpfs', msg: `What is kept in ${dir} is gone after the next deploy: it looks like a part of the container. On Render, add a disk to the service with the mount path ${dir}` }])
  t.same(await warnings({}), [], 'on a machine of one\'s own such a folder may be meant')
})
