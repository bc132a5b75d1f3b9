import type { Redis } from 'ioredis'

/** Resolves when a client has a connection that takes commands. Throws the signal's reason when that aborts. */
export function waitForReady (client: Redis, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const enter = (): void => {
      signal.removeEventListener('abort', leave)
      resolve()
    }
    const leave = (): void => {
      client.off('ready', enter)
      reject(signal.reason)
    }
    client.once('ready', enter)
    signal.addEventListener('abort', leave, { once: true })
  })
}
