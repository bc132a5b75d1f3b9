import t from 'tap'
import { startApp } from './fixtures/app.ts'
import { openClient, PostgresServer } from './fixtures/postgres.ts'
import { readStatements } from './fixtures/statements.ts'

/** Of Holdline, besides those of LangGraph. */
const MAX_STATEMENTS = 6

t.test('a turn costs few statements of Postgres, whatever kind of turn it is', async t => {
  const server = await PostgresServer.start(t, ['fsync=off', 'log_statement=all'])
  const url = await server.createDatabase()
  const service = await startApp(t, { env: { SESSION_STORE: 'postgres', DATABASE_URL: url, RATE_LIMIT_MAX: '1000' } })
  // What the start asked is logged before this, and not yet read.
  const client = await openClient(t, url)
  await readStatements(server, () => client.query("SELECT 'the start is over'"), 'the start is over')
  const costs = async <T>(kind: string, turn: () => Promise<T & { readonly status: number }>): Promise<T> => {
    let answer: T & { readonly status: number } | undefined
    let tookMs = 0
    const { own, conversation } = await readStatements(server, async () => {
      const startedMs = performance.now()
      answer = await turn()
      tookMs = performance.now() - startedMs
    }, 'holdline.leave_turn')
    // On a machine that is busy: a turn that takes longer than a second notes when it ended.
    const most = MAX_STATEMENTS + (tookMs > 900 ? 1 : 0)
    t.equal(answer?.status, 200)
    t.ok(conversation.length > 0, 'the conversation is there, too')
    t.ok(own.length > 3 && own.length <= most, `${kind}: ${own.length}`, { own })
    if (answer === undefined) throw new TypeError('A turn has an answer')
    return answer
  }

  const { body: { session_id } } = await costs('the first message of a person', () => service.say('Hello'))
  for (let number = 1; number <= 3; number++) await costs('a message', () => service.say(`Hello again, ${number}`))
  await costs('a message that names its session', () => service.say('By its session', { session_id }))
  const { body: { approval_data: asked } } = await costs('one that the agent asks back on', () => service.say('note: one'))
  const decision = { user_id: 'ann', session_id, approved: true, approval_id: asked?.approval_id }
  await costs('a decision', () => service.approve(decision))
  await costs('another question', () => service.say('note: two'))
  await costs('a decision in words', () => service.say('yes'))
})
