import { copyFileSync, rmSync } from 'node:fs'
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
