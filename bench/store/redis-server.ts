import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { isCoded } from '../../src/errors.ts'
import { track } from './children.ts'

/** A Redis of our own. */
export interface RedisServer {
  readonly port: number
  stop (): Promise<void>
}

/** Starts Redis on a folder of its own and a free port; resolves to undefined where it is not installed. */
export async function startRedis (dir: string, appendfsync: 'always' | 'everysec'): Promise<RedisServer | undefined> {
  const port = await findFreePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'yes', '--appendfsync', appendfsync]
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    await once(server, 'spawn')
  } catch (error) {
    if (isCoded(error, 'ENOENT')) return undefined
    throw error
  }
  track(server)
  const ended = once(server, 'exit')
  await new Promise<void>((resolve, reject) => {
    // The log is read to its end: a full pipe would stop the server.
    createInterface(server.stdout).on('line', line => { if (line.includes('Ready to accept connections')) resolve() })
    server.once('exit', () => { reject(new Error('redis-server did not start')) })
  })
  const stop = async (): Promise<void> => {
    server.kill('SIGTERM')
    await ended
  }
  return { port, stop }
}

async function findFreePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('There is no free port')
  return address.port
}
