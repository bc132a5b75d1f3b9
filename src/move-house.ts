import { MovedClock } from './agent/move/clock.ts'
import { ServiceError } from './errors.ts'
import { moveAll } from './move.ts'
import { parseMoveAddress, type MoveAddress, type MoveSettings } from './move-address.ts'
import type { LookedAtPlace, MovePlace } from './move-place.ts'
import type { MoveReport } from './move-report.ts'
import type { Tell } from './move-steps.ts'
import { tryMove } from './move-trial.ts'
import type { FileOperations } from './sessions/csv/files.ts'

/** What an operator asks for; see `parseMoveAddress`. */
export interface MoveRequest {
  readonly from: string
  readonly to: string
  /** Whether nothing is to be written. */
  readonly isDryRun: boolean
}

/** What a move is made with. */
export interface MoveTools {
  readonly settings: MoveSettings & {
    /** The silence after which a session has expired. */
    readonly timeoutMs: number
  }
  readonly files: FileOperations
  readonly now: () => number
  readonly tell: Tell
}

/**
 * Moves house: opens both places, of which no service may make use meanwhile, and moves what is in the one to the other; see `moveAll`, `tryMove`.
 *
 * @throws ServiceError that says in one line what is in the way.
 */
export async function moveHouse ({ from, to, isDryRun }: MoveRequest, tools: MoveTools): Promise<MoveReport> {
  const { settings, now, tell } = tools
  const [source, target] = [from, to].map(address => parseMoveAddress(address, settings))
  if (source === undefined || target === undefined) throw new TypeError('A move has two ends')
  if (source.name === target.name) throw new ServiceError('SETTING_INVALID', { message: `${source.name} cannot be moved to itself` })
  if (source.kind === 'csv' && target.kind === 'csv') {
    throw new ServiceError('SETTING_INVALID', { message: 'From one session file to another one there is nothing to move: see backup' })
  }
  const clock = new MovedClock(now)
  return await withPlace(open(source, 'source', { ...tools, now }), async opened => isDryRun
    ? await withPlace(lookAt(target, tools), async place => await tryMove({ source: opened, target: place, tell }))
    : await withPlace(open(target, 'target', { ...tools, now: clock.now }), async place => await moveAll({ source: opened, target: place, clock, tell })))
}

async function withPlace<P extends Pick<MovePlace, 'close'>, T> (opening: Promise<P>, run: (place: P) => Promise<T>): Promise<T> {
  const place = await opening
  try {
    return await run(place)
  } finally {
    await place.close()
  }
}

/** Of what reaches a file or a server, only that is loaded which is named. */
async function open (address: MoveAddress, role: 'source' | 'target', { files, now, settings: { timeoutMs } }: MoveTools): Promise<MovePlace> {
  switch (address.kind) {
    case 'csv': return await (await import('./move-csv.ts')).openCsvPlace(address, role, files, now)
    case 'postgres': return await (await import('./move-postgres.ts')).openPostgresPlace(address, role, now)
    case 'redis': return await (await import('./move-redis.ts')).openRedisPlace(address, role, now, timeoutMs)
  }
}

async function lookAt (address: MoveAddress, { files, settings: { timeoutMs } }: MoveTools): Promise<LookedAtPlace> {
  switch (address.kind) {
    case 'csv': return await (await import('./move-csv.ts')).lookAtCsvPlace(address, files)
    case 'postgres': return await (await import('./move-postgres.ts')).lookAtPostgresPlace(address)
    case 'redis': return await (await import('./move-redis.ts')).lookAtRedisPlace(address, timeoutMs)
  }
}
