import { monitorEventLoopDelay } from 'node:perf_hooks'

// Loaded before the service: makes its clock run faster, and tells whoever asks what the process holds when the garbage is gone.
const speed = Number(process.env['SOAK_CLOCK_SPEED'] ?? '1')
const realNow = Date.now
const startedAtMs = realNow()
Date.now = () => startedAtMs + (realNow() - startedAtMs) * speed

const delay = monitorEventLoopDelay({ resolution: 10 })
delay.enable()

async function report (): Promise<void> {
  const eventLoopP99Ms = delay.percentile(99) / 1e6
  // Twice: what the first collection finalizes is garbage for the second.
  globalThis.gc?.()
  await new Promise(resolve => setImmediate(resolve))
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const resources = process.getActiveResourcesInfo()
  const timers = resources.filter(kind => kind === 'Timeout' || kind === 'Immediate').length
  // The collection above is not the service's.
  delay.reset()
  process.send?.({ rss, heapUsed, external, timers, eventLoopP99Ms, cpuMs: (user + system) / 1000 })
}

process.on('message', () => { report().catch((error: unknown) => { console.error(error) }) })
// The one who measures is gone: so is the measured.
process.on('disconnect', () => { process.exit(1) })
