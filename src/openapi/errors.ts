import { STATUS_CODES } from 'node:http'
import { ERRORS, type ErrorCode } from '../errors.ts'
import type { ApiResponse, Example, Reference } from './document.ts'

/** What an error's description depends on. */
export interface ErrorRoute {
  readonly hasBody: boolean
  readonly needsKey: boolean
  /** Is answered while others are refused, for there is too much to do. */
  readonly answersUnderPressure: boolean
  /** Its errors carry what a bot shows to a person, too. */
  readonly speaksToPerson: boolean
}

/** The id that the examples bear. */
export const REQUEST_ID = '6f1c8a54-0d3e-4c39-9a1e-2f0a5b7c9d10'

const ANYWHERE: readonly ErrorCode[] = ['REQUEST_INVALID', 'INTERNAL']
const WITH_KEY: readonly ErrorCode[] = ['KEY_REFUSED', 'KEY_SCOPE_MISSING', 'KEY_ATTEMPTS_EXCEEDED', 'RATE_LIMITED', 'STORE_UNAVAILABLE']
const WITH_BODY: readonly ErrorCode[] = ['BODY_NOT_JSON', 'BODY_TOO_LARGE', 'MEDIA_TYPE_UNSUPPORTED']
const UNDER_PRESSURE: readonly ErrorCode[] = ['OVERLOADED']

/** The fields that chat and approve add to an error. */
const PERSON_FIELDS = { status: 'error', requires_approval: false, approval_data: null, metadata: {} }

/** Every code that a route may answer with: its own, and those that its kind of route may. */
export function listCodes (own: readonly ErrorCode[], { hasBody, needsKey, answersUnderPressure }: ErrorRoute): ErrorCode[] {
  return [...new Set([
    ...ANYWHERE, ...(needsKey ? WITH_KEY : []), ...(answersUnderPressure ? [] : UNDER_PRESSURE), ...(hasBody ? WITH_BODY : []), ...own
  ])]
}

/** The answers for these codes, by status: what each code means, what helps, and an example of each. */
export function describeErrors (codes: readonly ErrorCode[], { speaksToPerson }: ErrorRoute): Record<string, ApiResponse> {
  const schema = { $ref: `#/components/schemas/${speaksToPerson ? 'TurnError' : 'Error'}` }
  const statuses = [...new Set(codes.map(code => ERRORS[code].status))]
  return Object.fromEntries(statuses.map(status => {
    const group = codes.filter(code => ERRORS[code].status === status)
    const examples = Object.fromEntries(group.map(code => [code, formatExample(code, speaksToPerson)]))
    const description = [`${STATUS_CODES[status]}\n`, ...group.map(describeCode)].join('\n')
    return [status, { description, headers: describeHeaders(status), content: { 'application/json': { schema, examples } } }]
  }))
}

function describeCode (code: ErrorCode): string {
  const { message, nextStep } = ERRORS[code]
  return `- \`${code}\`: ${message}. ${nextStep}.`
}

function describeHeaders (status: number): Record<string, Reference> {
  const names = ['X-Request-ID', ...(status === 401 ? ['WWW-Authenticate'] : []), ...(status === 429 || status === 503 ? ['Retry-After'] : [])]
  return Object.fromEntries(names.map(name => [name, { $ref: `#/components/headers/${name}` }]))
}

function formatExample (code: ErrorCode, speaksToPerson: boolean): Example {
  const { status, message } = ERRORS[code]
  const value = { statusCode: status, code, error: STATUS_CODES[status], message, request_id: REQUEST_ID, ...(speaksToPerson && PERSON_FIELDS) }
  return { summary: message, value }
}

const text = { type: 'string' }

const ERROR_PROPERTIES = {
  statusCode: { type: 'integer', description: 'The status of the answer' },
  code: { ...text, description: 'Stable; what a program goes by' },
  error: { ...text, description: 'The name of the status' },
  message: { ...text, description: 'For a person; of a 4xx it says what is wrong' },
  request_id: { ...text, description: 'What the log has the cause under; also in the header X-Request-ID' }
}

/** The bodies of errors, as `components.schemas`. */
export const ERROR_SCHEMAS = {
  Error: {
    type: 'object',
    description: 'What every error answers',
    required: Object.keys(ERROR_PROPERTIES),
    properties: ERROR_PROPERTIES
  },
  TurnError: {
    type: 'object',
    description: 'What an error of chat and approve answers: it has the fields of an answer, too, for bots that show `message` and nothing else',
    required: [...Object.keys(ERROR_PROPERTIES), 'status', 'requires_approval', 'approval_data', 'metadata'],
    properties: {
      ...ERROR_PROPERTIES,
      status: { ...text, enum: ['error'] },
      requires_approval: { type: 'boolean', enum: [false] },
      approval_data: { type: 'null' },
      metadata: { type: 'object' },
      user_id: { ...text, description: 'Where it is known' },
      session_id: { ...text, description: 'Where it is known' },
      platform: { ...text, description: 'Where it is known' }
    }
  }
} as const
