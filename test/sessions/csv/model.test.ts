import assert from 'node:assert/strict'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { formatFile } from '../../../src/sessions/csv/file-text.ts'
import type { Session } from '../../../src/sessions/session.ts'
import { makeFolder } from '../../fixtures/folder.ts'
import { EDITS, editText } from '../../fixtures/session-edits.ts'
import { SessionModel, TIMEOUT_MS, type Change } from '../../fixtures/session-model.ts'
import { makeSession, START_MS } from '../../fixtures/sessions.ts'

const BOUND_MS = 10_000
/** How much sooner than in earnest the file follows its journal, and is saving tried again. */
const HASTE = 50

const wait = globalThis.setTimeout
globalThis.setTimeout = Object.assign(
  (run: () => void, ms = 0) => wait(run, ms > 2000 ? ms : ms / HASTE), { __promisify__: wait.__promisify__ }
) as typeof wait

// --- what happens

const pick = fc.nat(5000)
const person = { user: fc.nat(1), platform: fc.constantFrom('telegram', 'web') }
const change = fc.oneof(
  fc.record({ kind: fc.constant('create' as const), id: fc.nat(9), ...person }),
  fc.record({ kind: fc.constantFrom('update' as const, 'pend' as const, 'decide' as const, 'delete' as const), pick })
)
const changes = fc.array(change, { minLength: 1, maxLength: 4 })
const state = fc.constantFrom('running' as const, 'stopped' as const, 'crashed' as const)
const event = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('change' as const), changes }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('chat' as const), ...person }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire' as const), ms: fc.nat(TIMEOUT_MS / 2), limit: fc.integer({ min: 1, max: 500 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('restart' as const, 'backup' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('crash' as const, 'fault' as const), at: fc.integer({ min: 1, max: 60 }), changes, later: changes }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('edit' as const), edit: fc.constantFrom(...Object.keys(EDITS)), number: pick, when: state }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restore' as const), isCopy: fc.boolean(), when: state }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), when: state }) }
)
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never
type ChangeEvent = typeof change extends fc.Arbitrary<infer T> ? T : never

let count = 0

function toChange (model: SessionModel, event: ChangeEvent): Change {
  const nowMs = model.clock.nowMs
  if (event.kind === 'create') {
    const { platform, user } = event
    const session = makeSession({
      sessionId: `s-${event.id}`, userId: `${platform}_${user}`, platform, threadId: `t-${++count}`, createdAtMs: nowMs, lastActivityMs: nowMs
    })
    const isTaken = model.own.has(session.sessionId)
    return { id: session.sessionId, ask: (store) => store.create(session), after: session, ...isTaken && { refusal: 'REQUEST_INVALID' } }
  }
  const ids = [...model.own.keys()]
  const id = (event.pick % 17 === 0 ? undefined : ids[event.pick % ids.length]) ?? 'none'
  const session = model.own.get(id)
  const isThere = session !== undefined && model.isLive(session)
  if (event.kind === 'delete') return { id, ask: (store) => store.delete(id), after: isThere ? undefined : session }
  const alter = (before: Session): Session => {
    if (event.kind === 'update') return { ...before, lastActivityMs: nowMs, metadata: { ...before.metadata, number: event.pick } }
    return { ...before, pendingApproval: event.kind === 'pend' ? { tool: 'note', args: { text: `"${event.pick}",\n` } } : null }
  }
  return { id, ask: (store) => store.update(id, alter), after: isThere ? alter(session) : undefined, ...!isThere && { refusal: 'SESSION_NOT_FOUND' } }
}

/** No two of the same session: which of them comes to pass would depend on how they are grouped. */
function toChanges (model: SessionModel, events: readonly ChangeEvent[]): Change[] {
  const all = events.map((event) => toChange(model, event))
  return all.filter(({ id }, index) => all.findIndex((other) => other.id === id) === index)
}

async function chat (model: SessionModel, user: number, platform: string): Promise<void> {
  const userId = `${platform}_${user}`
  const [latest] = (await model.store.findByUser(userId, platform))
  const session = latest ?? makeSession({ sessionId: `c-${++count}`, userId, platform, threadId: `t-${count}`, lastActivityMs: model.clock.nowMs })
  await model.change([{ id: session.sessionId, ask: (store) => store.continueOrCreate(userId, platform, () => session), after: session }])
  const alter = (before: Session): Session => ({ ...before, lastActivityMs: model.clock.nowMs, metadata: { ...before.metadata, chats: ++count } })
  const after = alter(session)
  await model.change([{ id: session.sessionId, ask: (store) => store.update(session.sessionId, () => after), after }])
}

async function expire (model: SessionModel, ms: number, limit: number): Promise<void> {
  model.clock.nowMs += ms
  const cutoffMs = model.clock.nowMs - TIMEOUT_MS
  for (let isMore = true; isMore;) {
    const silent = [...model.own.values()].filter(({ lastActivityMs }) => lastActivityMs < cutoffMs)
    const removed = await model.store.removeSilentSince(cutoffMs, limit)
    assert.equal(removed.length, Math.min(limit, silent.length))
    for (const { sessionId } of removed) assert.ok(model.own.delete(sessionId))
    isMore = removed.length === limit
  }
}

/** Lets somebody else at the file, in one of three states of the service. */
async function meddle (model: SessionModel, when: 'running' | 'stopped' | 'crashed', way: () => Promise<void>): Promise<void> {
  if (when === 'stopped') await model.stop()
  if (when === 'crashed') await model.crash()
  await way()
  if (when !== 'running') await model.restart()
}

async function happen (model: SessionModel, event: Event): Promise<void> {
  switch (event.kind) {
    case 'change': return await model.change(toChanges(model, event.changes))
    case 'chat': return await chat(model, event.user, event.platform)
    case 'expire': return await expire(model, event.ms, event.limit)
    case 'settle': return await model.settle()
    case 'backup': return model.readFile() === undefined ? undefined : model.copy()
    case 'restart': return await meddle(model, 'stopped', async () => {})
    case 'crash':
    case 'fault':
      model.failing.reset()
      model.failing.failWhen = (call) => event.kind === 'crash' ? call >= event.at : call === event.at
      for (const one of event.changes) await model.change([toChange(model, one)], { mayFail: true })
      await model.linger()
      for (const one of event.later) await model.change([toChange(model, one)], { mayFail: true })
      await model.linger(event.at)
      if (event.kind === 'crash') return await meddle(model, 'crashed', async () => {})
      return await model.recover()
    case 'restore': return await meddle(model, event.when, async () => {
      if (model.backup !== undefined) await model.meddle(model.backup, event)
    })
    case 'remove': return await meddle(model, event.when, () => model.meddle(undefined))
    case 'edit': return await meddle(model, event.when, async () => {
      const text = model.readFile()
      if (text !== undefined) await model.meddle(editText(event.edit, text, event.number))
    })
  }
}

async function run (folder: string, text: string, events: readonly Event[]): Promise<void> {
  mkdirSync(folder)
  const model = await SessionModel.start(folder, text)
  try {
    for (const event of events) {
      await happen(model, event)
      await model.check()
    }
    await model.settle()
    await model.stop()
    await model.restart()
    await model.check()
  } finally {
    await model.crash()
    rmSync(folder, { recursive: true })
  }
}

// --- from what it starts

function formatSessions (count: number, makeMetadata: () => Record<string, unknown>): string {
  const sessions = Array.from({ length: count }, (_, index) => makeSession({
    sessionId: `b-${index}`, userId: 'api_0', platform: 'api', lastActivityMs: START_MS - index * 40, metadata: makeMetadata()
  }))
  return Buffer.concat([...formatFile(sessions.map((session) => ({ session })), [])]).toString()
}

for (const [table, text] of Object.entries({
  'no sessions': formatSessions(0, () => ({})),
  'a thousand sessions and a few': formatSessions(1004, () => ({})),
  'sessions of more than a mebibyte': formatSessions(76, () => ({ text: 'x'.repeat(14 * 1024) }))
})) {
  t.test(`beginning with ${table}, whatever happens, the store is what a Map would be`, async (t) => {
    const root = makeFolder(t)
    let runs = 0
    let last: Promise<void> | undefined
    const property = fc.asyncProperty(fc.array(event, { maxLength: 20 }), (events) => (last = run(join(root, String(++runs)), text, events)))
    await fc.assert(property, { numRuns: 1e6, interruptAfterTimeLimit: BOUND_MS, markInterruptAsFailure: false })
    // The one that was interrupted.
    await last
    t.comment(`${runs} runs`)
    t.ok(runs > 3)
  })
}
