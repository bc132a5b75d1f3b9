/** Somewhere to keep sessions, with the sessions of a workload in it. */
export interface Peer {
  /** Saves a new last activity of the session of this number; resolves when it is as durable as the peer makes it. */
  write (index: number): Promise<void>
  close (): Promise<void>
}

/** Which peer, and how durable. */
export type PeerOptions =
  | { readonly kind: 'holdline', readonly fsync: 'always' | 'never' }
  | { readonly kind: 'sqlite', readonly synchronous: 'FULL' | 'NORMAL' }
  | { readonly kind: 'redis', readonly port: number, readonly isPipelined: boolean }
  | { readonly kind: 'rewriter' }

/** Opens a peer on a folder of its own. Loads its library only: the heap of one is not the other's. */
export async function openPeer (options: PeerOptions, dir: string, sessions: number): Promise<Peer> {
  switch (options.kind) {
    case 'holdline': return await (await import('./holdline.ts')).openHoldline(dir, sessions, options.fsync)
    case 'sqlite': return (await import('./sqlite.ts')).openSqlite(dir, sessions, options.synchronous)
    case 'redis': return await (await import('./redis.ts')).openRedis(options, sessions)
    case 'rewriter': return await (await import('./rewriter.ts')).openRewriter(dir, sessions)
  }
}
