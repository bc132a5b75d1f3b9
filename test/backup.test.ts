import { copyFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from './fixtures/folder.ts'
import { Service } from './fixtures/service.ts'
import { runTool } from './fixtures/tool.ts'

/** Talks until told to stop: people come, are asked, answer, and begin anew. */
async function keepTalking (service: Service, person: string, signal: AbortSignal, ledger: Map<string, number>): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    const { body } = await service.say(turn % 3 === 2 ? '/new' : `note: ${turn}`, { user_id: person })
    if (turn % 3 === 2) continue
    if (body.status === 'waiting_approval') await service.say('yes', { user_id: person, approval_id: body.approval_data?.approval_id })
    ledger.set(body.session_id, (ledger.get(body.session_id) ?? 0) + 1)
  }
}

async function restore (dir: string, backup: string): Promise<void> {
  for (const end of ['-wal', '-shm']) rmSync(join(dir, `conversations.sqlite${end}`), { force: true })
  for (const name of ['sessions.csv', 'conversations.sqlite']) copyFileSync(join(backup, name), join(dir, name))
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  t.test(`a backup that is taken under load is put back after ${signal}: every session goes on with its conversation`, async t => {
    const dir = makeFolder(t)
    const service = await Service.start(t, dir)
    const stop = new AbortController()
    const ledger = new Map<string, number>()
    const talking = Array.from({ length: 3 }, (_, index) => keepTalking(service, `p${index}`, stop.signal, ledger))
    while (ledger.size < 5) await Promise.race([...talking, service.say('hello', { user_id: 'other' })])
    const acknowledged = [...ledger.keys()]
    const backup = await runTool(dir, ['backup', 'backup', '--json'])
    t.equal(backup.code, 0, backup.stderr)
    if (signal === 'SIGTERM') {
      t.match(await runTool(dir, ['compact']), { code: 1, stderr: /sessions\.csv is in use by another process\n$/ })
      t.match(await runTool(dir, ['verify', '--json']), { code: 0, stdout: /"is_in_use":true/ })
    }
    stop.abort()
    await Promise.all(talking)
    service.kill(signal)
    await service.exit
    await restore(dir, join(dir, 'backup'))

    const next = await Service.start(t, dir)
    const { active_sessions: sessions } = (await next.request('/api/sessions?limit=1000')).body
    t.equal(sessions.length, JSON.parse(backup.stdout).sessions)
    for (const { session_id: id } of sessions) {
      const { status, body } = await next.request(`/api/sessions/${id}/messages`)
      const said = body.messages.length
      // One that was made at the instant of the copy may not have said anything yet.
      t.ok(status === 200 && (said > 0 || !acknowledged.includes(id)), `${id} has its conversation`)
    }
    // The rows and the threads need not be of one instant: a turn puts that right.
    for (const person of ['p0', 'p1']) {
      await next.say('/new', { user_id: person })
      const asked = await next.say('note: after', { user_id: person })
      t.equal(asked.body.status, 'waiting_approval')
      t.match((await next.say('yes', { user_id: person, approval_id: asked.body.approval_data?.approval_id })).body.message, 'Saved the note: after')
    }
    next.kill('SIGTERM')
    t.equal((await next.exit).code, 0)
  })
}

/** Where nothing can be stopped without its disk going too: each file is replaced by a rename, and the service is restarted. */
function restoreWhileRunning (dir: string, backup: string): void {
  const names = ['sessions.csv', 'conversations.sqlite']
  for (const name of names) copyFileSync(join(backup, name), join(dir, `${name}.restored`))
  for (const end of ['-wal', '-shm']) rmSync(join(dir, `conversations.sqlite${end}`), { force: true })
  for (const name of names) renameSync(join(dir, `${name}.restored`), join(dir, name))
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  t.test(`a backup that is put back while the service runs is what the start after ${signal} finds`, async t => {
    const dir = makeFolder(t)
    const service = await Service.start(t, dir)
    const before = (await service.say('first words')).body
    t.equal((await runTool(dir, ['backup', 'backup'])).code, 0)
    await service.say('later words')
    await service.say('of another', { user_id: 'other' })
    restoreWhileRunning(dir, join(dir, 'backup'))
    service.kill(signal)
    await service.exit

    const next = await Service.start(t, dir)
    t.same((await next.request('/api/sessions')).body.active_sessions.map(({ session_id: id }) => id), [before.session_id])
    const { messages } = (await next.request(`/api/sessions/${before.session_id}/messages`)).body
    t.match(messages, [{ content: 'first words' }, {}])
    t.equal(messages.length, 2)
    t.match((await next.say('what did I say first?')).body.message, /first words/)
  })
}
