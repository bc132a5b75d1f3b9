import { constants, cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { buildChild } from './store/build.ts'
import { killChildren, setProgram } from './store/children.ts'
import { isInMemory, makeFolder, measureSync, removeFolder } from './store/folder.ts'
import { compareLoad } from './store/parts/load.ts'
import { weighSessions } from './store/parts/memory.ts'
import { comparePeers } from './store/parts/peers.ts'
import { timeRestart } from './store/parts/restart.ts'
import { compareSizes } from './store/parts/sizes.ts'
import { watchStalls } from './store/parts/stalls.ts'
import { FULL, QUICK } from './store/plan.ts'
import { formatMs, printAims, type Aim } from './store/report.ts'

/** The session store against its peers, side by side in one run: `npm run bench:store`, `npm run bench:store -- a c --quick`. */
const PARTS = new Map([['a', comparePeers], ['b', compareSizes], ['c', compareLoad], ['d', watchStalls], ['e', weighSessions], ['f', timeRestart]])

const args = process.argv.slice(2).map(arg => arg.toLowerCase())
const isQuick = args.includes('--quick')
const names = args.filter(arg => arg !== '--quick')
for (const name of names) {
  if (PARTS.has(name)) continue
  console.error(`There is no part ${name}: ${[...PARTS.keys()].join(', ')}, and --quick`)
  process.exit(2)
}

const root = fileURLToPath(new URL('..', import.meta.url))
const dir = makeFolder(root)
process.once('exit', () => {
  killChildren()
  removeFolder(dir)
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => { process.exit(128 + constants.signals[signal]) })
}

console.log(`${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}`)
console.log(`A small write made durable here: ${formatMs(await measureSync(dir))}${isQuick ? '. A quick run: the numbers are rough' : ''}`)
const [load = 0] = loadavg()
if (load > cpus().length / 4) console.error(`SOMETHING ELSE IS RUNNING: the load is ${load.toFixed(1)} before anything began.`)
if (isInMemory(dir)) console.error('THE WORKING DIRECTORY IS IN MEMORY: nothing here is durable, and syncing costs nothing. Run this on a disk.')
setProgram(buildChild(root, dir))
const aims: Aim[] = []
for (const [name, measure] of PARTS) {
  if (names.length > 0 && !names.includes(name)) continue
  aims.push(...await measure({ plan: isQuick ? QUICK : FULL, dir }))
}
printAims('Aims', aims)
