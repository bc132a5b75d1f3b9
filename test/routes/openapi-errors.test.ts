import t from 'tap'
import { ServiceError, type ErrorCode } from '../../src/errors.ts'
import type { PlacedOperation } from '../fixtures/api-document.ts'
import { startApp, type TestApp } from '../fixtures/app.ts'
import { OpenAiServer } from '../fixtures/openai-server.ts'
import { Replay, type ReplayedAnswer, type ReplayOptions } from '../fixtures/replay.ts'

const STRANGER = '00000000-0000-4000-8000-000000000000'

/** How to get a status from any route that has it, without a state. */
const REQUESTS: Readonly<Record<string, (replay: Replay, place: PlacedOperation) => ReplayOptions | undefined>> = {
  400: (replay, place) => {
    if (place.operation.requestBody !== undefined) return { body: '{' }
    return place.operation.parameters.some(({ name }) => name === 'limit') ? { path: fill(replay, place), query: { limit: '0' } } : undefined
  },
  401: (replay, place) => ({ path: fill(replay, place) }),
  404: (replay, place) => ({
    path: fill(replay, place),
    ...(place.operation.requestBody !== undefined && { body: { user_id: 'ann', session_id: STRANGER, message: 'Hello', ...(place.operation.operationId === 'approve' && { approved: true }) } })
  }),
  413: (replay, place) => ({ path: fill(replay, place), body: { user_id: 'x'.repeat(300_000) } }),
  415: (replay, place) => ({ path: fill(replay, place), body: 'Hello', headers: { 'content-type': 'text/plain' } })
}

function fill (replay: Replay, place: PlacedOperation): string {
  return replay.fillPath(place, { session: STRANGER })
}

for (const [status, describe] of Object.entries(REQUESTS)) {
  t.test(`${status} comes from every route that the document gives it to, in the form that it describes`, async t => {
    const replay = await Replay.start(await startApp(t, { env: status === '401' ? { API_KEY: 'k' } : {} }))
    let count = 0
    for (const place of replay.document.operations.filter(({ operation }) => operation.responses[status] !== undefined)) {
      const request = describe(replay, place)
      if (request === undefined) continue
      const answer = await replay.send(place, request)
      t.equal(String(answer.status), status, `${place.operation.operationId}: ${answer.text}`)
      t.equal(answer.problem, '')
      const example = place.operation.responses[status]?.content?.['application/json']?.examples?.[answer.body.code]?.value
      t.same(Object.keys(answer.body).filter(key => !['user_id', 'session_id', 'platform'].includes(key)), Object.keys(Object(example)), 'the fields of the example')
      count++
    }
    t.ok(count >= 2)
  })
}

interface Stage {
  readonly service: TestApp
  readonly replay: Replay
  readonly sessionId: string
}

type Play = (stage: Stage) => Promise<ReplayedAnswer>

function chat ({ replay }: Stage, message: string, more: ReplayOptions & { readonly fields?: object } = {}): Promise<ReplayedAnswer> {
  return replay.send(replay.place('chat'), { body: { user_id: 'ann', message, ...more.fields }, ...more })
}

function approve ({ replay, sessionId }: Stage, fields: object): Promise<ReplayedAnswer> {
  return replay.send(replay.place('approve'), { body: { user_id: 'ann', session_id: sessionId, ...fields } })
}

/** Errors that need a state, which is a question that waits. */
const PLAYS: Partial<Record<ErrorCode, Play>> = {
  APPROVAL_NOT_PENDING: async stage => {
    await approve(stage, { approved: true })
    return await approve(stage, { approved: true })
  },
  APPROVAL_SUPERSEDED: async stage => await chat(stage, 'yes', { fields: { approval_id: STRANGER } }),
  DECISION_REFUSED: async stage => await approve(stage, { decisions: [] }),
  TURN_NOT_RUNNING: async ({ replay, sessionId }) => {
    const cancel = replay.place('cancelTurn')
    return await replay.send(cancel, { path: replay.fillPath(cancel, { session: sessionId }) })
  },
  IDEMPOTENCY_KEY_REUSED: async stage => {
    const headers = { 'idempotency-key': 'one' }
    await chat(stage, 'Hello', { headers })
    return await chat(stage, 'Goodbye', { headers })
  },
  STREAM_GONE: async stage => await chat(stage, 'Hello', { headers: { accept: 'text/event-stream', 'last-event-id': `${STRANGER}:1` } }),
  STORE_UNAVAILABLE: async stage => {
    t.intercept(stage.service.app.sessionStore, 'status', { value: () => ({ kind: 'csv', canSave: false, reason: 'full' }), configurable: true })
    const health = await stage.replay.send(stage.replay.place('health'))
    t.match(health, { status: 503, problem: '' })
    t.match(await stage.replay.send(stage.replay.place('ready')), { status: 503, problem: '' })
    return await chat(stage, 'Hello')
  },
  CONVERSATIONS_UNAVAILABLE: async stage => {
    t.intercept(stage.service.app.agent, 'status', { value: () => ({ canSave: false, reason: 'full' }), configurable: true })
    return await chat(stage, 'Hello')
  },
  SERVICE_STOPPING: async stage => {
    await stage.service.app.conversation.drain(0)
    return await chat(stage, 'Hello')
  },
  CONVERSATION_UNREADABLE: async ({ service, replay, sessionId }) => {
    t.intercept(service.app.agent, 'history', { value: async () => { throw new ServiceError('CONVERSATION_UNREADABLE') }, configurable: true })
    const messages = replay.place('listMessages')
    return await replay.send(messages, { path: replay.fillPath(messages, { session: sessionId }) })
  },
  INTERNAL: async ({ service, replay }) => {
    t.intercept(service.app.sessionStore, 'count', { value: () => { throw new TypeError('broken') }, configurable: true })
    return await replay.send(replay.place('countSessions'))
  }
}

for (const [code, play] of Object.entries(PLAYS)) {
  t.test(`${code} comes as the document describes it`, async t => {
    const service = await startApp(t)
    const replay = await Replay.start(service)
    const { body } = await service.say('note: buy milk')
    const stage = { service, replay, sessionId: body.session_id }
    const { status, body: answer, headers, problem } = await play(stage)
    t.match(answer, { code })
    t.equal(problem, '')
    if (status === 503) t.ok(Number(headers.get('retry-after')) > 0)
  })
}

t.test('AGENT_TIMEOUT, AGENT_FAILED and TURN_QUEUE_FULL come as the document describes them', async t => {
  const provider = await OpenAiServer.start(t)
  const service = await startApp(t, { env: { ...provider.env, AGENT_TIMEOUT_SECONDS: '1', MAX_QUEUED_TURNS: '1' } })
  const stage = { service, replay: await Replay.start(service), sessionId: '' }
  await service.say('Hello')
  const { asked } = provider.hold('Never')
  const late = chat(stage, 'Slow')
  await asked.opened
  provider.answer = () => ({ status: 400 })
  const others = await Promise.all([chat(stage, 'Next'), chat(stage, 'And next')])
  t.match(await late, { status: 504, problem: '', body: { code: 'AGENT_TIMEOUT' } })
  t.same(others.map(({ body }) => body.code).sort(), ['AGENT_FAILED', 'TURN_QUEUE_FULL'])
  t.same(others.map(({ problem }) => problem), ['', ''])
  t.ok(others.find(({ status }) => status === 429)?.headers.get('retry-after'))
})
