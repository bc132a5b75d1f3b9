import { ERROR_SCHEMAS, REQUEST_ID } from './errors.ts'

/** What the document says of the service as a whole. */
export interface ServiceFacts {
  readonly version: string
  /** One line. */
  readonly summary: string
  /** By its SPDX name. */
  readonly license: string
}

const DESCRIPTION = `A bot posts what a person said (\`chat\`); Holdline finds the person's session, runs one turn of the agent and answers. When the agent wants
to do something that needs a yes, the answer has the status \`waiting_approval\` and says what is asked; the person's next message, or \`approve\`, decides it.
Turns of one session run one after another. With \`Accept: text/event-stream\` both tell what happens while it happens; with an \`Idempotency-Key\` both may be
sent again after a lost line. Every error is JSON with a stable \`code\`, also where there is no such
route (404 \`ROUTE_NOT_FOUND\`), where a request does not arrive in time (408 \`REQUEST_TIMED_OUT\`), or its headers are too large (431 \`HEADERS_TOO_LARGE\`). Fields that nobody knows
are ignored; no value is ever coerced. New fields may be added to answers, none is renamed or removed.`

const text = { type: 'string' }

const HEADERS = {
  'X-Request-ID': { description: 'Names the request in the log: the one that was sent with it, if it is fit for that, else a new one', schema: text, example: REQUEST_ID },
  'Retry-After': { description: 'Seconds after which a retry makes sense, where that is known', schema: { type: 'integer' }, example: 5 },
  'WWW-Authenticate': { description: 'How to show a key', schema: text, example: 'Bearer' },
  Location: { description: 'Where to go, relative to this address', schema: text, example: './docs/' },
  'Idempotency-Replayed': {
    description: '`true` where this is the answer to an earlier request with the same key, or to the same `metadata.message_id`',
    schema: { ...text, enum: ['true'] },
    example: 'true'
  }
}

const PARAMETERS = {
  RequestId: {
    in: 'header',
    name: 'X-Request-ID',
    required: false,
    description: 'A name for this request in the log and in its answer: up to 128 letters, digits and `_.:-`. Another one is taken where it is unfit',
    schema: { ...text, examples: [REQUEST_ID] }
  }
}

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'The API key, as `Authorization: Bearer <key>`' },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'The API key, in a header of its own' }
} as const

/** What the document has before there are routes. */
export function describeService ({ version, summary, license }: ServiceFacts) {
  return {
    openapi: '3.1.0',
    info: { title: 'Holdline', version, summary, description: DESCRIPTION.replaceAll('\n', ' '), license: { name: license, identifier: license } },
    servers: [{ url: '/', description: 'Where this document was read' }],
    tags: [
      { name: 'chat', description: 'Turns of the agent: messages, and decisions about what it asks' },
      { name: 'sessions', description: 'Who talks to the agent, what was said, and the end of both' },
      { name: 'monitoring', description: 'What this service is, and whether it works' }
    ],
    components: { securitySchemes: SECURITY_SCHEMES }
  }
}

/** The parts that operations refer to. */
export const COMMON_COMPONENTS = { headers: HEADERS, parameters: PARAMETERS, schemas: ERROR_SCHEMAS }
