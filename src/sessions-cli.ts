import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { copyConversations } from './agent/conversation-copy.ts'
import { mergeEnvironment } from './config.ts'
import { isCoded } from './errors.ts'
import type { MoveRequest, MoveTools } from './move-house.ts'
import type { MoveReport } from './move-report.ts'
import { ProgressLine } from './progress-line.ts'
import { leaveRoot } from './run-as.ts'
import type { openSessionServer, SessionServer } from './session-server.ts'
import { readSessionSettings } from './session-settings.ts'
import { formatUsage, parseRequest, UsageError } from './sessions/admin/commands.ts'
import type { AdminOptions, Outcome } from './sessions/admin/options.ts'
import { escapeControls, formatJson } from './sessions/admin/text.ts'
import { realFiles } from './sessions/csv/files.ts'

/** The operator's tool as a process: words, settings, streams, exit code. Everything else is in `sessions/admin`. */
async function start (): Promise<void> {
  try {
    const { run, isJson } = parseRequest(process.argv.slice(2))
    if (run === undefined) return await write([formatUsage()])
    const { json, text, notes = [], hasFailed = false } = await run(readOptions())
    for (const note of notes) complain(note)
    // Before the output: whoever reads it may hang up in the middle.
    if (hasFailed) process.exitCode = 1
    await write(isJson ? [`${formatJson(json)}\n`] : text)
  } catch (error) {
    if (isCoded(error, 'EPIPE')) return
    process.exitCode = error instanceof UsageError ? 2 : 1
    complain(error instanceof Error ? error.message : String(error))
    if (error instanceof UsageError) process.stderr.write(`\n${formatUsage()}`)
  }
}

/** The files of the service that has these settings. */
function readOptions (): AdminOptions {
  const dotenv = existsSync('.env') ? readFileSync('.env', 'utf8') : ''
  const settings = readSessionSettings(mergeEnvironment(dotenv, process.env))
  const { store } = settings
  // In a container root calls it, and what it writes must be the service's.
  leaveRoot({ runAs: settings.runAs, paths: store === 'csv' ? [settings.path, settings.conversationsPath] : [] }, process)
  return {
    ...settings,
    now: Date.now,
    newId: randomUUID,
    files: realFiles,
    openServer: store === 'csv' ? undefined : async () => await openServer(store, settings),
    listFolder: async (path) => await readdir(path),
    copyConversations: async (target) => copyConversations(settings.conversationsPath, target),
    move: async (request) => await move(request, settings)
  }
}

async function openServer (...args: Parameters<typeof openSessionServer>): Promise<SessionServer> {
  const { openSessionServer } = await import('./session-server.ts')
  return await openSessionServer(...args)
}

/** Shows how far it is, where somebody sees that. */
async function move (request: MoveRequest, settings: MoveTools['settings']): Promise<MoveReport> {
  const line = process.stderr.isTTY && process.env.TERM !== 'dumb' ? new ProgressLine(process.stderr) : undefined
  try {
    // Who looks at a file never loads what reaches a server.
    const { moveHouse } = await import('./move-house.ts')
    return await moveHouse(request, { settings, files: realFiles, now: Date.now, tell: (progress) => { line?.show(progress) } })
  } finally {
    line?.end()
  }
}

/** Rejects where nobody reads on, as `| head` does, or where the disk behind the stream is full. */
async function write (chunks: Outcome['text']): Promise<void> {
  for (const chunk of chunks) {
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(chunk, (error) => {
        if (error == null) resolve()
        else reject(error)
      })
    })
  }
}

/** One line, whatever is in it. */
function complain (message: string): void {
  process.stderr.write(`${escapeControls(message.trim().replaceAll(/\s*\n\s*/g, ' '))}\n`)
}

// Without a listener the error would end the process before `write` hears of it.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})
await start()
