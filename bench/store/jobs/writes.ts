import { driveWriters, type Measure } from '../closed-loop.ts'
import { collectGarbage } from '../collect-garbage.ts'
import { openPeer, type PeerOptions } from '../peers/peer.ts'
import { getSessionsPath } from '../workload.ts'
import { watchRenewals, type Renewals } from '../renewals.ts'

/** Who writes what, and for how long. */
export interface WritesOptions {
  readonly peer: PeerOptions
  readonly dir: string
  readonly sessions: number
  readonly writers: number
  readonly warmUpMs: number
  readonly durationMs: number
}

/** Writes a second, and how often the session file was renewed meanwhile. */
export interface Writes extends Measure {
  readonly renewals: Renewals
}

export async function measureWrites ({ peer: options, dir, sessions, writers, warmUpMs, durationMs }: WritesOptions): Promise<Writes> {
  const peer = await openPeer(options, dir, sessions)
  const write = (): Promise<void> => peer.write(Math.floor(Math.random() * sessions))
  collectGarbage()
  await driveWriters(writers, warmUpMs, write)
  const endWatch = await watchRenewals(getSessionsPath(dir))
  const measure = await driveWriters(writers, durationMs, write)
  const renewals = endWatch()
  await peer.close()
  return { ...measure, renewals }
}
