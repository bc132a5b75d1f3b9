import { Validator } from '@seriousme/openapi-schema-validator'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { ERRORS } from '../../src/errors.ts'
import packageJson from '../../package.json' with { type: 'json' }
import { ApiDocument, type PlacedOperation } from '../fixtures/api-document.ts'
import { startApp } from '../fixtures/app.ts'

/** What only ends a start, and what says that there is no such route. */
const NOT_OF_A_ROUTE = ['SETTING_INVALID', 'FILE_LOCKED', 'FILE_INVALID', 'STORE_UNREACHABLE', 'ROUTE_NOT_FOUND', 'REQUEST_TIMED_OUT', 'HEADERS_TOO_LARGE']

t.test('the document is valid OpenAPI 3.1, and anybody may read it', async t => {
  const service = await startApp(t, { env: { API_KEY: 'k' } })
  const { status, headers, body } = await service.get('/openapi.json')
  t.equal(status, 200)
  t.match(headers['content-type'], 'application/json')
  const validator = new Validator()
  t.same(await validator.validate({ ...body }), { valid: true })
  t.equal(validator.version, '3.1')
  t.match(body, { info: { title: 'Holdline', version: packageJson.version, license: { identifier: packageJson.license } }, servers: [{ url: '/' }] })
})

t.test('every route is in the document, with its method', async t => {
  const service = await startApp(t)
  const described = ApiDocument.read(service.app)
  const { body: { endpoints } } = await service.get('/')
  t.equal(endpoints.length, described.operations.length, 'and nothing else')
  for (const endpoint of endpoints) {
    const [method = '', url = ''] = endpoint.split(' ')
    t.ok(described.find(method, url), endpoint)
  }
})

t.test('every operation says all there is to say', async t => {
  const described = ApiDocument.read((await startApp(t)).app)
  const ids = described.operations.map(({ operation }) => operation.operationId)
  t.equal(new Set(ids).size, ids.length, 'each has an id of its own')
  for (const place of described.operations) checkOperation(t, described, place)
})

t.test('an error is described by the table of errors, each code under its status', async t => {
  const described = ApiDocument.read((await startApp(t)).app)
  const seen = new Set<string>()
  for (const { operation } of described.operations) {
    for (const [status, { description, content }] of Object.entries(operation.responses)) {
      for (const [code, row] of Object.entries(ERRORS)) {
        const example = content?.['application/json']?.examples?.[code]
        if (example === undefined) continue
        seen.add(code)
        t.equal(String(row.status), status, `${operation.operationId} ${code}`)
        t.match(example.value, { code, statusCode: row.status, message: row.message })
        t.ok(description.includes(code) && description.includes(row.message))
      }
    }
  }
  t.same(Object.keys(ERRORS).filter(code => !seen.has(code)).sort(), [...NOT_OF_A_ROUTE].sort(), 'no code is left out')
})

t.test('every example fits the schema that it stands beside', async t => {
  const described = ApiDocument.read((await startApp(t)).app)
  for (const { operation } of described.operations) {
    for (const { content = {} } of [operation.requestBody, ...Object.values(operation.responses)].filter(body => body !== undefined)) {
      for (const { schema, examples = {} } of Object.values(content)) {
        for (const [name, { value }] of Object.entries(examples)) t.equal(described.refuse(schema, value), '', `${operation.operationId} ${name}`)
      }
    }
  }
})

t.test('what may be null is so by the words of OpenAPI 3.1, and a schema stands in one place', async t => {
  const { app } = await startApp(t)
  const text = JSON.stringify(app.swagger())
  t.notMatch(text, '"nullable"')
  t.match(text, '{"anyOf":[{"$ref":"#/components/schemas/ApprovalData"},{"type":"null"}]}')
  for (const name of ['ChatAnswer', 'Session', 'ApprovalData', 'Error']) t.equal(text.split(`"title":"${name}"`).length - 1, name === 'Error' ? 0 : 1, name)
})

t.test('the scope that a route asks for is in its description', async t => {
  const app = await buildApp({ env: { SESSIONS_CSV_PATH: `${t.testdir()}/sessions.csv` } })
  t.after(() => app.close())
  const config = { scope: 'admin', documentation: { answers: {} } } as const
  app.get('/things', { schema: { operationId: 'things' }, config }, async () => 'things')
  await app.ready()
  const operation = ApiDocument.read(app).operation('things')
  t.match(operation.description, 'the scope `admin`')
  t.same(operation.security, [{ bearer: ['admin'] }, { apiKey: ['admin'] }])
  t.same(ApiDocument.read(app).operation('health').security, [])
})

t.test('an answer that is not described is told from one that is', async t => {
  const described = ApiDocument.read((await startApp(t)).app)
  const count = described.operation('countSessions')
  const type = 'application/json'
  t.equal(described.refuseAnswer(count, { status: 200, type, body: { count: 0, pending_approvals: 0, by_platform: {} } }), '')
  t.match(described.refuseAnswer(count, { status: 418, type, body: {} }), 'countSessions answers 418, which is not described')
  t.match(described.refuseAnswer(count, { status: 500, type, body: { code: 'AGENT_FAILED' } }), 'AGENT_FAILED')
  t.match(described.refuseAnswer(count, { status: 200, type, body: { count: '0' } }), 'does not fit its schema')
  t.match(described.refuseAnswer(count, { status: 200, type: 'text/html', body: '' }), 'text/html')
})

function checkOperation (t: Test, described: ApiDocument, { path, method, operation }: PlacedOperation): void {
  const { operationId, summary, description, tags, responses, requestBody } = operation
  const where = `${method} ${path}`
  t.match({ operationId, summary, description }, { operationId: /^\w+$/, summary: /\w/, description: /^(?!undefined)\w.*key/s }, where)
  t.equal(tags.length, 1, where)
  for (const parameter of described.parameters(operation)) {
    t.match(parameter.description, /\w/, `${where} ${parameter.name} is described`)
    t.ok(parameter.example ?? parameter.schema.examples?.[0], `${where} ${parameter.name} has an example`)
  }
  t.same([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name), described.parameters(operation).filter(({ required }) => required).map(({ name }) => name))
  if (requestBody !== undefined) t.ok(Object.keys(requestBody.content['application/json']?.examples ?? {}).length > 3, `${where} has bodies`)
  for (const status of ['400', '500', ...(operation.security.length > 0 ? ['401'] : [])]) t.ok(responses[status], `${where} ${status}`)
  for (const [status, response] of Object.entries(responses)) {
    t.match(response.description, /^(?!Default Response)\w/, `${where} ${status} is described`)
    t.ok(response.headers?.['X-Request-ID'], `${where} ${status}`)
    t.equal(response.headers?.['Retry-After'] !== undefined, status === '429' || status === '503', `${where} ${status} Retry-After`)
    if (status === '302' || operationId === 'openapi') continue
    for (const [type, media] of Object.entries(response.content ?? {})) {
      t.ok(Object.keys(media.examples ?? {}).length > 0, `${where} ${status} ${type} has an example`)
    }
  }
}
