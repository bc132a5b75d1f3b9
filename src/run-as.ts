import { ServiceError } from './errors.ts'
import { takeOver } from './takeover.ts'
import type { User } from './user.ts'

/** The calls of a process that tell and change who it is; a system without users has none of them. */
export interface Identity {
  geteuid?: () => number
  getuid?: () => number
  getgid?: () => number
  getegid?: () => number
  getgroups?: () => number[]
  setgroups?: (groups: readonly number[]) => void
  setgid?: (gid: number) => void
  setuid?: (uid: number) => void
}

/** What a process that root started does with it. */
export interface RunAsOptions {
  /** `RUN_AS`: `uid:gid`; without it, nothing changes. */
  readonly runAs: string | undefined
  /** The files that the user must be able to keep. */
  readonly paths: readonly string[]
}

/**
 * Makes a process that root started an ordinary user's, for good: gives that user the files and their folders, then drops groups, group and user.
 * Returns who it is now; undefined where nothing was to do (no `RUN_AS`, or nobody to be but oneself).
 *
 * *Promise.* After it no thread of the process can be root again by its own means. Call it before anything is opened: an open file stays open.
 *
 * @throws ServiceError SETTING_INVALID when the process may not change its user, FILE_INVALID when the files cannot be given away.
 */
export function leaveRoot ({ runAs, paths }: RunAsOptions, identity: Identity, give: typeof takeOver = takeOver): User | undefined {
  if (runAs === undefined || identity.geteuid?.() !== 0) return undefined
  const user = parseUser(runAs)
  give(paths, user)
  becomeUser(user, identity)
  return user
}

function parseUser (text: string): User {
  const [uid, gid] = text.split(':').map(Number)
  if (uid === undefined || gid === undefined || !Number.isSafeInteger(uid) || !Number.isSafeInteger(gid)) {
    throw new ServiceError('SETTING_INVALID', { message: `RUN_AS must be uid:gid, received ${JSON.stringify(text)}` })
  }
  return { uid, gid }
}

/** In this order: each step needs the right that the last one gives away. */
function becomeUser ({ uid, gid }: User, identity: Identity): void {
  try {
    // Else the groups of root would stay.
    identity.setgroups?.([])
    identity.setgid?.(gid)
    identity.setuid?.(uid)
  } catch (cause) {
    throw new ServiceError('SETTING_INVALID', {
      message: `RUN_AS=${uid}:${gid} cannot be followed (${cause instanceof Error ? cause.message : String(cause)}): start the process as that user, ` +
        'or leave it the capabilities SETGID and SETUID',
      cause
    })
  }
  if (!isOnly({ uid, gid }, identity) || canReturn(identity)) {
    throw new ServiceError('SETTING_INVALID', { message: `RUN_AS=${uid}:${gid} was followed, and the process could be root again: start it as that user` })
  }
}

function isOnly ({ uid, gid }: User, identity: Identity): boolean {
  const users = [identity.getuid?.(), identity.geteuid?.()]
  const groups = [identity.getgid?.(), identity.getegid?.(), ...identity.getgroups?.() ?? []]
  return users.every(id => id === uid) && groups.every(id => id === gid)
}

/** Whether root is a call away: the system, asked for it, says yes. */
function canReturn ({ setuid }: Identity): boolean {
  try {
    setuid?.(0)
    return true
  } catch {
    // The refusal is what was hoped for.
    return false
  }
}
