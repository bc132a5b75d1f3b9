import { parseArgs } from 'node:util'
import { isCoded, ServiceError } from '../../errors.ts'
import { backUp } from './backup.ts'
import { compactSessions } from './compact.ts'
import { countSessions } from './count.ts'
import { exportSessions } from './export.ts'
import { importSessions } from './import.ts'
import { listSessions } from './list.ts'
import { migrateSessions } from './migrate.ts'
import type { AdminOptions, Outcome } from './options.ts'
import { showSessions } from './show.ts'
import { verifySessions } from './verify.ts'

/** What an operator asks for when the words make no sense: the usage is the answer. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The options of all commands; each command takes some of them. */
const OPTIONS = {
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  platform: { type: 'string' },
  pending: { type: 'boolean' },
  expired: { type: 'boolean' },
  from: { type: 'string' },
  to: { type: 'string' },
  'dry-run': { type: 'boolean' }
} as const

interface Words {
  readonly platform?: string | undefined
  readonly pending?: boolean | undefined
  readonly expired?: boolean | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly 'dry-run'?: boolean | undefined
  readonly isJson: boolean
  /** What follows the command: `<id>`, `<file>`, `<folder>`. */
  readonly operand: string | undefined
}

interface Command {
  readonly name: string
  /** How its operand is called, if it has one. */
  readonly operand?: string
  readonly isOperandOptional?: boolean
  /** Besides `--json`. */
  readonly options?: ReadonlyArray<keyof typeof OPTIONS>
  /** Those without which it makes no sense, each with an address. */
  readonly required?: ReadonlyArray<'from' | 'to'>
  readonly text: string
  /** What does the same on a server, where this is about the file alone. */
  readonly onServer?: string
  readonly run: (options: AdminOptions, words: Words) => Promise<Outcome>
}

/** A command whose operand was there. */
function withOperand (run: (options: AdminOptions, operand: string) => Promise<Outcome>): Command['run'] {
  return async (options, { operand }) => {
    if (operand === undefined) throw new TypeError('The operand of this command is not optional')
    return await run(options, operand)
  }
}

const COMMANDS: readonly Command[] = [
  {
    name: 'list',
    options: ['platform', 'pending', 'expired'],
    text: 'sessions, longest silent first; of one platform, with a question, expired but still in the file',
    run: listSessions
  },
  { name: 'show', operand: '<session_id|user_id>', text: 'all there is about a session, or about those of one person', run: withOperand(showSessions) },
  { name: 'count', text: 'how many, how many with a question, how many on each platform', run: countSessions },
  {
    name: 'verify',
    text: 'what a start would make of the file; exit 1 unless it would keep everything',
    onServer: 'GET /health of a running service tells whether it can save',
    run: verifySessions
  },
  {
    name: 'compact',
    text: 'do what a start and a stop do to the file; the service must not run',
    onServer: 'a server looks after itself',
    run: compactSessions
  },
  {
    name: 'export',
    operand: '[file]',
    isOperandOptional: true,
    text: 'live sessions as a session file, or as JSON, to stdout or to a new file',
    run: async (options, { operand, isJson }) => await exportSessions(options, { file: operand, isJson })
  },
  {
    name: 'import',
    operand: '<file>',
    text: 'add the sessions of another file; the service must not run',
    onServer: 'see migrate, which takes all of a file to an empty server',
    run: withOperand(importSessions)
  },
  {
    name: 'backup',
    operand: '<folder>',
    text: 'copy sessions and conversations, consistently, while the service runs',
    onServer: 'see pg_dump --schema=holdline, or BGSAVE of redis-cli',
    run: withOperand(backUp)
  },
  {
    name: 'migrate',
    required: ['from', 'to'],
    options: ['dry-run'],
    text: 'move sessions and conversations to another store; the service must not run',
    run: async (options, { from = '', to = '', 'dry-run': isDryRun = false }) => await migrateSessions(options, { from, to, isDryRun })
  }
]

/** What was asked for. */
export interface Request {
  /** Undefined when help was. */
  readonly run: ((options: AdminOptions) => Promise<Outcome>) | undefined
  readonly isJson: boolean
}

/**
 * Reads the words behind the program's name.
 *
 * @throws UsageError, saying in one line what is wrong with them.
 */
export function parseRequest (args: readonly string[]): Request {
  const { values: { help = false, json: isJson = false, ...given }, positionals: [name, ...operands] } = parse(args)
  if (help) return { run: undefined, isJson }
  if (name === undefined) throw new UsageError('Which command?')
  const command = COMMANDS.find((one) => one.name === name)
  if (command === undefined) throw new UsageError(`There is no command "${name}"`)
  const { options: taken = [], required = [] } = command
  const stray = Object.keys(given).find((option) => ![...taken, ...required].some((one) => one === option))
  if (stray !== undefined) throw new UsageError(`${name} takes no option --${stray}`)
  if (operands.length > (command.operand === undefined ? 0 : 1)) throw new UsageError(`${name} takes no "${operands.at(-1)}"`)
  const missing = required.find((option) => (given[option] ?? '') === '')
  if (missing !== undefined) throw new UsageError(`${name} needs --${missing} <address>`)
  const [operand] = operands
  if (operand === '' || (operand === undefined && command.operand !== undefined && command.isOperandOptional !== true)) {
    throw new UsageError(`${name} needs ${command.operand}`)
  }
  return {
    isJson,
    run: async (options) => {
      if (options.openServer !== undefined && command.onServer !== undefined) {
        throw new ServiceError('SETTING_INVALID', { message: `${name} is about a session file, and SESSION_STORE names a server: ${command.onServer}` })
      }
      return await command.run(options, { ...given, isJson, operand })
    }
  }
}

/** What can be asked for. */
export function formatUsage (): string {
  const forms = COMMANDS.map(({ name, operand, options = [], required = [] }) => [
    name,
    ...required.map((option) => `--${option} <address>`),
    ...operand === undefined ? [] : [operand],
    ...options.map((option) => OPTIONS[option].type === 'string' ? `[--${option} <${option}>]` : `[--${option}]`)
  ].join(' '))
  const width = Math.max(...forms.map((form) => form.length).filter((length) => length < 40))
  const lines = COMMANDS.flatMap(({ text }, index) => {
    const form = forms[index] ?? ''
    return form.length <= width ? [`  ${form.padEnd(width)}  ${text}`] : [`  ${form}`, `  ${' '.repeat(width)}  ${text}`]
  })
  return [
    'usage: sessions <command> [--json]',
    '',
    ...lines,
    '',
    'An address is csv:<path>, postgres://… or redis://…; or csv, postgres (DATABASE_URL), redis (REDIS_URL) for what the settings name.',
    'The files, or the server, are those of the settings (environment and .env): SESSION_STORE, SESSIONS_CSV_PATH, SESSIONS_FSYNC,',
    'SESSION_TIMEOUT_MINUTES, CONVERSATIONS_PATH, RUN_AS, DATABASE_URL, REDIS_URL.',
    '--json answers with one JSON document. Exit code: 0 done, 1 failed, 2 not understood.',
    ''
  ].join('\n')
}

function parse (args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    const isAboutWords = ['ERR_PARSE_ARGS_UNKNOWN_OPTION', 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE'].some((code) => isCoded(error, code))
    if (!isAboutWords || !(error instanceof Error)) throw error
    // Behind its first sentence Node.js explains how to write a positional that begins with a dash.
    throw new UsageError(error.message.split(/\.\s/)[0] ?? error.message)
  }
}
