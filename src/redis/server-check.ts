import { ServiceError } from '../errors.ts'
import type { Log } from '../log.ts'
import { KEY_PREFIX } from './client.ts'
import { explainRedisError } from './errors.ts'

/** Older ones lack what the scripts use. */
const MIN_VERSION = 7

/** By name, as in INFO or CONFIG; undefined is what cannot be told. */
type Facts = ReadonlyMap<string, string>

/** What is asked of a server. */
export interface ServerToCheck {
  info (): Promise<string>
  config (subcommand: 'GET', ...names: string[]): Promise<string[]>
  eval (lua: string, keyCount: 1, key: string): Promise<unknown>
}

/** Changes nothing, and finds out whether the user may run scripts on our keys. */
const TRY = "return redis.call('EXISTS', KEYS[1])"

const ASKED = ['appendfsync', 'no-appendfsync-on-rewrite', 'save']

/**
 * Looks at what kind of server it is, and how it keeps what it is told.
 *
 * *Promise.* A server that loses sessions by its settings is named in the log, each setting by its name.
 *
 * @throws ServiceError SETTING_INVALID for one that cannot keep them at all: too old, a replica, a node of a cluster; STORE_UNREACHABLE for one that
 * does not let this user do it.
 */
export async function checkServer (client: ServerToCheck, log: Log): Promise<void> {
  const facts = await explainFailure(async () => new Map([...parseInfo(await client.info()), ...await readConfig(client)]))
  const flaw = findFlaw(facts)
  if (flaw !== undefined) throw new ServiceError('SETTING_INVALID', { message: `REDIS_URL names ${flaw}` })
  await explainFailure(async () => await client.eval(TRY, 1, `${KEY_PREFIX}probe`))
  for (const danger of listDangers(facts)) log.warn({}, `Redis: ${danger}`)
}

async function explainFailure<T> (ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    throw new ServiceError('STORE_UNREACHABLE', { message: `Redis cannot be used: ${explainRedisError(cause)}`, cause })
  }
}

function findFlaw (facts: Facts): string | undefined {
  const version = facts.get('redis_version') ?? ''
  if (!(parseInt(version) >= MIN_VERSION)) return `a Redis of version ${/^[\w.-]{1,20}$/.test(version) ? version : 'unknown'}; it has to be ${MIN_VERSION} or newer`
  if (facts.get('role') !== 'master') return 'a replica: it has to be the primary'
  // A client of one server does not follow when the slot moves or another node takes over.
  if (facts.get('cluster_enabled') === '1') {
    return 'a node of a Redis Cluster, which is not supported: all keys are of one slot, so that a cluster spreads nothing. Use a single primary, with a replica to fail over to'
  }
  return undefined
}

function * listDangers (facts: Facts): Generator<string> {
  const policy = facts.get('maxmemory_policy')
  if (policy !== 'noeviction') {
    yield `maxmemory-policy is ${policy ?? 'unknown'}: sessions, conversations and locks may be evicted when its memory is full. Set it to noeviction`
  }
  if (facts.get('aof_enabled') === '0') {
    const save = facts.get('save')
    yield save === ''
      ? 'appendonly is no and save is off: nothing is on its disk, and a restart of it forgets every session. Set appendonly to yes'
      : 'appendonly is no: a crash of it loses what was acknowledged since its last snapshot, minutes of it. Set appendonly to yes'
    return
  }
  const fsync = facts.get('appendfsync')
  if (fsync === undefined) yield 'appendfsync cannot be told, since CONFIG is not allowed here: unless it is always, a power cut loses the last second of what was acknowledged'
  else if (fsync !== 'always') yield `appendfsync is ${fsync}: a power cut loses the last ${fsync === 'everysec' ? 'second' : 'half a minute'} of what was acknowledged. Set it to always`
  if (facts.get('no-appendfsync-on-rewrite') === 'yes') {
    yield 'no-appendfsync-on-rewrite is yes: a power cut while its file is rewritten loses what was acknowledged meanwhile. Set it to no'
  }
}

function parseInfo (text: string): Array<[string, string]> {
  return text.split('\r\n').filter(line => line.includes(':')).map(line => {
    const place = line.indexOf(':')
    return [line.slice(0, place), line.slice(place + 1)]
  })
}

/** Servers that others operate often forbid it: then nothing is known. */
async function readConfig (client: ServerToCheck): Promise<Array<[string, string]>> {
  try {
    const words = await client.config('GET', ...ASKED)
    return words.flatMap((word, index) => index % 2 === 0 ? [[word, words[index + 1] ?? '']] : [])
  } catch {
    return []
  }
}
