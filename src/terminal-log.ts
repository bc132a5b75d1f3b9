/** Colours of a terminal, or none. */
export interface Paint {
  /** What a person reads on only when looking for it. */
  readonly dim: (text: string) => string
}

/** Said by the line itself, in front of the message, or of no use on the machine that one sits at. */
const SHOWN_ELSEWHERE = new Set(['level', 'time', 'pid', 'hostname', 'msg', 'err'])

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** What needs no quotes. */
const PLAIN = /^[\w.:/@+-]+$/

/** What a terminal would obey, save the line breaks and the tabs of a stack. */
// eslint-disable-next-line no-control-regex -- these are what it is about
const COMMANDS = /[\0-\x08\x0B-\x1F\x7F-\x9F]/g

/** Causes of causes that are told. */
const MAX_CAUSES = 8

/**
 * What a line of the log says on a terminal behind its time and level: the message, the fields as `name=value`, ids last and as short as tells them
 * apart, and below it an error with its causes. Nothing in it commands the terminal.
 */
export function formatForTerminal (line: Readonly<Record<string, unknown>>, { dim }: Paint): string {
  const fields = Object.entries(line).filter(([name, value]) => !SHOWN_ELSEWHERE.has(name) && value !== undefined)
  const isId = ([name]: [string, unknown]): boolean => name.endsWith('_id')
  const told = [...fields.filter(field => !isId(field)), ...fields.filter(isId).sort(byRequestLast)].map(formatField)
  const message = disarm(String(line.msg ?? ''))
  const head = told.length === 0 ? message : `${message} ${dim(told.join(' '))}`
  return [head, ...formatError(line.err, '', MAX_CAUSES).map(text => dim(disarm(text)))].join('\n')
}

/** The session is what one looks for; the request's id is another one with each line. */
function byRequestLast ([a]: [string, unknown], [b]: [string, unknown]): number {
  return Number(a === 'request_id') - Number(b === 'request_id')
}

function formatField ([name, value]: [string, unknown]): string {
  if (name.endsWith('_id') && typeof value === 'string' && UUID.test(value)) return `${name.slice(0, -3)}=${value.slice(0, 8)}`
  return `${name}=${typeof value === 'string' && PLAIN.test(value) ? value : disarm(JSON.stringify(value))}`
}

function formatError (error: unknown, lead: string, left: number): string[] {
  if (typeof error !== 'object' || error === null || left === 0) return []
  const { message, stack, cause }: { message?: unknown, stack?: unknown, cause?: unknown } = error
  const text = typeof stack === 'string' && stack !== '' ? stack : String(message ?? '')
  const [first = '', ...rows] = text.split('\n')
  return [`  ${lead}${first}`, ...rows.map(row => `    ${row.trim()}`), ...formatError(cause, 'caused by ', left - 1)]
}

function disarm (text: string): string {
  return text.replace(COMMANDS, character => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
