import type { ApiResponse, MediaType, Operation, Parameter } from './document.ts'
import { describeErrors, listCodes } from './errors.ts'
import type { AnswerDocumentation, RouteDocumentation } from './route.ts'

const JSON_TYPE = 'application/json'

/** A route, beside its schema. */
export interface RouteFacts {
  readonly method: string
  /** `open` needs no key; what else it is called is the scope that a key must have. */
  readonly scope: string
  readonly answersUnderPressure: boolean
  readonly speaksToPerson: boolean
  readonly documentation: RouteDocumentation
}

/** Adds to an operation, as its route's schema describes it, what the schema has no place for. */
export function finishOperation (operation: Operation, { method, scope, speaksToPerson, answersUnderPressure, documentation }: RouteFacts): void {
  const { requests, answers, errors = [] } = documentation
  const route = { hasBody: method !== 'GET', needsKey: scope !== 'open', speaksToPerson, answersUnderPressure }
  operation.description = [operation.description, describeAccess(scope)].filter(text => text !== undefined).join('\n\n')
  operation.security = describeSecurity(scope)
  // What is named Accept is no parameter in OpenAPI: the answers' media types tell it.
  const own = operation.parameters?.filter(parameter => !('name' in parameter) || parameter.name !== 'accept') ?? []
  operation.parameters = [...own.map(parameter => 'name' in parameter ? moveExample(parameter) : parameter), { $ref: '#/components/parameters/RequestId' }]
  const body = operation.requestBody?.content[JSON_TYPE]
  if (operation.requestBody !== undefined && body !== undefined && requests !== undefined) {
    operation.requestBody.content[JSON_TYPE] = { ...body, examples: requests }
  }
  operation.responses = {
    ...describeErrors(listCodes(errors, route), route),
    ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, finishAnswer(operation.responses[status], answer)]))
  }
}

/** To the schema, unless it has to be there: the page would send the example of a parameter with every request. */
function moveExample ({ example, ...parameter }: Parameter): Parameter {
  if (parameter.required === true || example === undefined) return { ...parameter, ...(example !== undefined && { example }) }
  return { ...parameter, schema: { ...parameter.schema, examples: [example] } }
}

function finishAnswer (described: ApiResponse | undefined, answer: AnswerDocumentation): ApiResponse {
  const { description, examples, mediaType = JSON_TYPE, headers = [], stream } = answer
  const media = described?.content?.[JSON_TYPE]
  const content: Record<string, MediaType> = {
    ...(media !== undefined && { [mediaType]: { ...media, ...(examples !== undefined && { examples }) } }),
    ...(stream !== undefined && {
      'text/event-stream': { schema: { type: 'string', description: stream.description }, examples: stream.examples, 'x-events': stream.events }
    })
  }
  return {
    description,
    headers: Object.fromEntries(['X-Request-ID', ...headers].map(name => [name, { $ref: `#/components/headers/${name}` }])),
    ...(Object.keys(content).length > 0 && { content })
  }
}

function describeAccess (scope: string): string {
  return scope === 'open' ? 'Needs no key.' : `Needs a key with the scope \`${scope}\`, where the service has keys.`
}

/** With the scope as a role, which OpenAPI 3.1 allows for any scheme. */
function describeSecurity (scope: string): object[] {
  return scope === 'open' ? [] : [{ bearer: [scope] }, { apiKey: [scope] }]
}
