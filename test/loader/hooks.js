import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

// ts-blank-space, with a memory: a test run starts hundreds of processes, and most of the time of each went into loading the compiler anew.
const FOLDER = fileURLToPath(new URL('../../node_modules/.cache/holdline-types-erased/', import.meta.url))
const { version } = createRequire(import.meta.url)('ts-blank-space/package.json')

mkdirSync(FOLDER, { recursive: true })

/** Hook of Node.js: https://nodejs.org/docs/latest-v20.x/api/module.html#loadurl-context-nextload */
export async function load (url, context, nextLoad) {
  if (!url.startsWith('file:') || !new URL(url).pathname.endsWith('.ts')) return await nextLoad(url, context)
  return { format: 'module', shortCircuit: true, source: `${await erase(readFileSync(new URL(url), 'utf8'))}\n//# sourceURL=${url}` }
}

async function erase (text) {
  const path = `${FOLDER}${createHash('sha256').update(version).update(text).digest('hex')}`
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  const { default: blankSpace } = await import('ts-blank-space')
  const erased = blankSpace(text)
  // Others read it as a whole, or not at all; and whatever umask a test has given this process.
  const part = `${path}.${process.pid}`
  writeFileSync(part, erased)
  chmodSync(part, 0o644)
  renameSync(part, path)
  return erased
}
