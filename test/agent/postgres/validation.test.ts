import t from 'tap'
import { PostgresServer } from '../../fixtures/postgres.ts'
import { runSaverValidation } from '../../fixtures/run-saver-validation.ts'

t.test('LangGraph\'s own suite for checkpointers passes in Postgres', async t => {
  const server = await PostgresServer.start(t)
  await runSaverValidation(t, ['in Postgres'], { TEST_DATABASE_URL: await server.createDatabase() })
})
