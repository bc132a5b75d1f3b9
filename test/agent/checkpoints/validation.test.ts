import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { PostgresServer } from '../../fixtures/postgres.ts'
import { NO_REDIS, RedisServer } from '../../fixtures/redis.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

const Report = Type.Object({
  numTotalTests: Type.Integer(),
  testResults: Type.Array(Type.Object({
    message: Type.String(),
    assertionResults: Type.Array(Type.Object({ status: Type.String(), fullName: Type.String(), failureMessages: Type.Array(Type.String()) }))
  }))
})

t.test('LangGraph\'s own suite for checkpointers passes: with and without the memory, through the file of the conversations, in Postgres and in Redis', { timeout: 120_000 }, async t => {
  const server = await PostgresServer.start(t)
  const redis = NO_REDIS === false ? await RedisServer.start(t) : undefined
  // The suite is written for vitest, whose command line is the way to run it that its authors take.
  const args = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--config', 'test/fixtures/vitest.config.ts', '--reporter=json']
  const { NODE_OPTIONS: _, ...rest } = process.env
  const env = { ...rest, TEST_DATABASE_URL: await server.createDatabase(), TEST_REDIS_URL: redis?.addressOf(0) }
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (!output.startsWith('{')) throw new Error(`vitest did not come to a report: ${errors}${output}`)
  const { numTotalTests, testResults } = Value.Parse(Report, JSON.parse(output))
  const results = testResults.flatMap(({ assertionResults }) => assertionResults)
  t.same(testResults.map(({ message }) => message), [''])
  t.same(results.filter(({ status }) => status !== 'passed'), [], 'none failed, none was left out')
  t.equal(code, 0)
  t.equal(results.length, numTotalTests)
  const names = ['with its memory', 'without its memory', 'in the file of the conversations', 'in Postgres', ...(redis === undefined ? [] : ['in Redis'])]
  for (const name of names) {
    const own = results.filter(({ fullName }) => fullName.startsWith(name))
    for (const part of ['put', 'putWrites', 'getTuple', 'list', 'deleteThread', 'getDeltaChannelHistory']) {
      t.ok(own.some(({ fullName }) => fullName.includes(`${name}#${part}`)), `${part} ${name}`)
    }
  }
})
