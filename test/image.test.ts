import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { buildImage, enterContainer, findChild, noContainer, readStatus, type Starter } from './fixtures/container.ts'
import { makeFolder } from './fixtures/folder.ts'
import { Program } from './fixtures/program.ts'
import { Service } from './fixtures/service.ts'

const USER = { uid: 4321, gid: 4322 }
const RUN_AS = '4321:4322'
const EXAMPLE = fileURLToPath(new URL('../examples/trip.ts', import.meta.url))

const app = noContainer === false ? buildImage(makeFolder(t)) : ''
const options = { skip: noContainer }

/** A volume as a platform mounts it: root's. */
function makeVolume (t: Test, { uid = 0, gid = 0, mode = 0o755 } = {}): string {
  const data = join(makeFolder(t), 'data')
  mkdirSync(data)
  chownSync(data, uid, gid)
  chmodSync(data, mode)
  return data
}

/** The service as the first process of a container, with the environment of the image. */
async function start (
  t: Test, data: string, starter: Starter, env: Record<string, string> = {}, before: string[] = []
): Promise<{ service: Service, pid: number }> {
  const via = [...enterContainer(app, data, starter), ...before]
  const service = await Service.start(t, app, makeEnv(data, env), [join(app, 'dist', 'src', 'server.js')], via)
  return { service, pid: findChild(service.pid) }
}

function makeEnv (data: string, env: Record<string, string>): Record<string, string> {
  return { NODE_ENV: 'production', SESSIONS_CSV_PATH: join(data, 'sessions.csv'), RUN_AS, ...env }
}

/** The operator's tool, called in the container of the service as `docker exec` does: by root. */
function callTool (t: Test, data: string, ...words: string[]): Program {
  const [command = '', ...rest] = [...enterContainer(app, data, 'root'), process.execPath, join(app, 'dist', 'src', 'sessions-cli.js'), ...words]
  return new Program(t, [command, ...rest], { env: makeEnv(data, {}), cwd: app })
}

function listOwners (data: string): string[] {
  return [...new Set(['.', ...readdirSync(data)].map(name => {
    const { uid, gid } = lstatSync(join(data, name))
    return `${uid}:${gid}`
  }))]
}

async function talk (t: Test, service: Service): Promise<void> {
  t.match(await service.say('note: buy milk'), { status: 200, body: { status: 'waiting_approval' } })
  t.match(await service.say('yes'), { status: 200, body: { message: /Saved the note: buy milk/ } })
}

/** As `docker stop` does. */
async function stop (t: Test, { service, pid }: { service: Service, pid: number }, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  process.kill(pid, signal)
  t.match(await service.exit, { code: 0, log: new RegExp(`Stopping on ${signal}[^]*Stopped`), stderr: '' })
}

t.test('started by root on a volume of root\'s, it gives the folder to an ordinary user, becomes that user for good, and works', options, async t => {
  const data = makeVolume(t)
  mkdirSync(join(data, 'lost+found'))
  const running = await start(t, data, 'root')
  const { service, pid } = running
  t.match(await service.logged(/Started by root/), /"pid":1,.*"uid":4321,"gid":4322/, 'the first process')
  const status = readStatus(pid)
  t.same(status.NSpid?.at(-1), '1')
  t.same(status.Uid, ['4321', '4321', '4321', '4321'], 'real, effective, saved and of the file system')
  t.same(status.Gid, ['4322', '4322', '4322', '4322'])
  t.same(status.Groups, [])
  for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) t.match(status[name]?.[0], /^0+$/, name)
  for (const task of readdirSync(`/proc/${pid}/task`)) t.same(readStatus(Number(task)).Uid, status.Uid, 'each thread')
  await talk(t, service)
  t.same(lstatSync(join(data, 'lost+found')).uid, 0, 'what is not the service\'s stays whose it is')
  await stop(t, running)
  t.match(readFileSync(join(data, 'sessions.csv'), 'utf8'), /^session_id,[^\n]*\n[^\n]*,api_test_123,[^\n]*\n$/)
  const owners = readdirSync(data).filter(name => name !== 'lost+found').map(name => lstatSync(join(data, name)).uid)
  t.same([...new Set(owners)], [4321])
})

t.test('after SIGKILL the next start takes over at once: nothing is lost, files of root\'s among it', options, async t => {
  const data = makeVolume(t)
  const first = await start(t, data, 'root')
  await talk(t, first.service)
  process.kill(first.pid, 'SIGKILL')
  await first.service.exit
  // A backup that root put back.
  for (const name of readdirSync(data)) chownSync(join(data, name), 0, 0)
  const next = await start(t, data, 'root')
  t.match((await next.service.say('notes')).body.message, /1\. buy milk/)
  t.same(listOwners(data), [RUN_AS])
  await stop(t, next, 'SIGINT')
})

t.test('a link that was left on the volume gives no other file away, and ends the start in one line', options, async t => {
  const data = makeVolume(t)
  const secret = join(data, '..', 'secret')
  writeFileSync(secret, 'root:x:0:0', { mode: 0o600 })
  symlinkSync('../secret', join(data, 'sessions.csv'))
  const via = enterContainer(app, data, 'root')
  const service = Service.launch(t, app, makeEnv(data, {}), [join(app, 'dist', 'src', 'server.js')], via)
  t.match(await service.exit, { code: 1, stderr: /^[^\n]+\n$/ })
  t.equal(lstatSync(secret).uid, 0)
  t.equal(readFileSync(secret, 'utf8'), 'root:x:0:0')
})

const plain: Array<[string, { uid: number, gid: number, mode: number }, { uid: number, gid: number }]> = [
  ['the user of the folder', { ...USER, mode: 0o700 }, USER],
  ['any user of a group that may write there', { uid: 0, gid: 0, mode: 0o770 }, { uid: 12_345, gid: 0 }]
]
for (const [who, folder, user] of plain) {
  t.test(`started as ${who}, without a single capability, it works as that user`, options, async t => {
    const data = makeVolume(t, folder)
    const running = await start(t, data, user)
    const status = readStatus(running.pid)
    t.same(status.Uid?.[0], String(user.uid), 'RUN_AS is for root')
    t.match(status.CapBnd?.[0], /^0+$/)
    await talk(t, running.service)
    await stop(t, running)
    t.equal(lstatSync(join(data, 'sessions.csv')).uid, user.uid)
  })
}

t.test('a signal that comes while it starts ends it at once, though it is the first process', options, async t => {
  const data = makeVolume(t)
  const agent = join(data, '..', 'agent.mjs')
  writeFileSync(agent, "console.log('The agent loads'); await new Promise(resolve => setTimeout(resolve, 2 ** 30))")
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const env = makeEnv(data, { AGENT: agent })
    const service = Service.launch(t, app, env, [join(app, 'dist', 'src', 'server.js')], enterContainer(app, data, 'root'))
    await service.logged(/The agent loads/)
    process.kill(findChild(service.pid), signal)
    t.match(await service.exit, { code: 0, stderr: `Stopped by ${signal} before it listened\n` })
  }
})

t.test('a user without a name, whom nobody gave a home, is served all the same', options, async t => {
  const running = await start(t, makeVolume(t), 'root', {}, ['env', '-u', 'HOME'])
  await talk(t, running.service)
  await stop(t, running)
})

t.test('an agent in TypeScript runs from a read-only file system', options, async t => {
  const running = await start(t, makeVolume(t), 'root', { AGENT: `${EXAMPLE}:graph` })
  t.match(await running.service.say('Rome'), { status: 200, body: { status: 'waiting_approval' } })
  await stop(t, running)
})

t.test('a volume that cannot be given away ends the start in one line that says what to do', options, async t => {
  const data = makeVolume(t)
  // Root without the right to change owners is what an NFS server makes of it.
  const via = enterContainer(app, data, 'root').map(word => word.replace('+chown,', ''))
  const service = Service.launch(t, app, makeEnv(data, {}), [join(app, 'dist', 'src', 'server.js')], via)
  t.match(await service.exit, { code: 1, stderr: new RegExp(`^${data} cannot be given to RUN_AS=4321:4322 \\(EPERM[^\\n]*\\n$`) })
  t.same(readdirSync(data), [])
})

t.test('what root does with the tool in the container is the service\'s: backup while it runs, compact and import when it does not', options, async t => {
  const data = makeVolume(t)
  const running = await start(t, data, 'root')
  await talk(t, running.service)
  const backup = callTool(t, data, 'backup', join(data, 'backup'))
  t.match(await backup.exit, { code: 0, stderr: '' })
  t.same(listOwners(join(data, 'backup')), [RUN_AS])
  await stop(t, running)
  t.match(await callTool(t, data, 'compact').exit, { code: 0, stderr: '' })
  t.match(await callTool(t, data, 'import', join(data, 'backup', 'sessions.csv')).exit, { code: 0, stderr: '' })
  t.same(listOwners(data), [RUN_AS])
  t.ok(existsSync(join(data, 'sessions.csv')))
})
