import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { listDataPaths, mergeEnvironment, type Config, type Environment } from './config.ts'
import { ServiceError } from './errors.ts'
import type { Log } from './log.ts'
import { leaveRoot } from './run-as.ts'
import { listSecrets, makeMask, type Mask } from './secrets.ts'
import { formatForTerminal } from './terminal-log.ts'

/** What asks a process to end. */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** The process: settings, listen, signals. Everything else is in `app.ts`. */
async function start (): Promise<void> {
  let app: FastifyInstance | undefined
  let mask: Mask = text => text
  const fail = (error: unknown): never => {
    // One line says what is wrong; a stack is for what we did not foresee.
    process.stderr.write(`${mask(describeFailure(error))}\n`)
    process.exit(1)
  }
  // Node would print all that an error carries along, such as the headers of a request; what an agent of the user's does may fail at any time.
  process.on('uncaughtException', fail)
  for (const signal of STOP_SIGNALS) process.on(signal, stopAtOnce)
  try {
    // Loaded by now, not before: it takes seconds on a small machine, in which a signal would find nobody who listens.
    const { buildApp } = await import('./app.ts')
    const dotenv = existsSync('.env') ? readFileSync('.env', 'utf8') : ''
    const env = mergeEnvironment(dotenv, process.env)
    mask = makeMask(listSecrets(env))
    app = await buildApp({ env, logger: await describeLogger(), setVariables, onSettings: becomeUser })
    process.off('uncaughtException', fail)
    stopWithGrace(app)
    for (const signal of STOP_SIGNALS) process.off(signal, stopAtOnce)
    await app.listen({ host: app.config.HOST, port: app.config.PORT })
  } catch (error) {
    await app?.close().catch(() => {})
    fail(error)
  }
}

/** Nothing was acknowledged yet that a flush could save. The first process of a container, without a listener, would not hear of it at all. */
function stopAtOnce (signal: NodeJS.Signals): void {
  process.stderr.write(`Stopped by ${signal} before it listened\n`)
  process.exit(0)
}

/** An empty value counts as not set; every other one of the real environment stays. */
function setVariables (variables: Environment): void {
  for (const [name, value = ''] of Object.entries(variables)) {
    if ((process.env[name] ?? '').trim() === '') process.env[name] = value
  }
}

/** Root starts it, where a volume is root's; an ordinary user runs it. */
function becomeUser (config: Config, log: Log): void {
  const user = leaveRoot({ runAs: config.RUN_AS, paths: listDataPaths(config) }, process)
  if (user !== undefined) log.info(user, 'Started by root, running as an ordinary user')
  giveHome()
}

/** A user by number alone has no home, unless somebody says so. LangChain asks for it in every turn, and would fail without. */
function giveHome (): void {
  try {
    homedir()
  } catch {
    // As container runtimes do for such users.
    process.env.HOME = '/'
  }
}

/** For SIGTERM, SIGINT and their like: drain, flush, exit 0; a second signal ends at once. */
function stopWithGrace (app: FastifyInstance): void {
  const graceMs = app.config.SHUTDOWN_GRACE_SECONDS * 1000
  // Without any grace, the last words and the flush still have their time.
  const stopMs = Math.max(graceMs, 1000)
  const options = {
    // Even a disk that hangs does not hold the process beyond its time.
    delay: stopMs,
    logger: false,
    onSecondSignal: (signal?: string) => { app.log.warn(`Second ${signal}: ending at once`) },
    onTimeout: () => { app.log.error('Closing took longer than SHUTDOWN_GRACE_SECONDS: ending at once') }
  } as const
  closeWithGrace(options, async ({ signal, err }) => {
    if (err !== undefined) app.log.fatal({ err }, 'The service ends because of an error that nobody handled')
    else app.log.info(`Stopping on ${signal}`)
    // A client that neither reads nor hangs up would keep the server open.
    const timer = setTimeout(() => { app.server.closeAllConnections() }, stopMs * 0.9)
    await app.close()
    clearTimeout(timer)
    app.log.info('Stopped')
  })
}

/** Lines for people on a terminal, JSON for everything else. */
async function describeLogger () {
  if (!process.stdout.isTTY) return { level: 'info' }
  const { default: pretty } = await import('pino-pretty')
  const stream = pretty({
    translateTime: 'SYS:HH:MM:ss',
    ignore: 'pid,hostname',
    hideObject: true,
    sync: true,
    customColors: 'fatal:bgRed,error:red,warn:yellow,info:green,debug:blue,message:reset',
    customPrettifiers: { time: time => String(time).replace(/[[\]]/g, '') },
    messageFormat: (line, _key, _label, { colors }) => formatForTerminal(line, { dim: colors.gray })
  })
  return { level: 'info', stream }
}

function describeFailure (error: unknown): string {
  if (error instanceof ServiceError) return error.message
  // What the system says of the address; everything else that it refuses is explained below.
  if (error instanceof Error && 'syscall' in error && (error.syscall === 'listen' || error.syscall === 'getaddrinfo')) {
    return `HOST and PORT must be an address to listen on: ${error.message}`
  }
  return error instanceof Error ? error.stack ?? error.message : String(error)
}

await start()
