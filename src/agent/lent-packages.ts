import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isJsonObject } from '../sessions/session.ts'

/** What the file of an agent may import though nothing is installed beside it: a single file that is mounted into the image, say. */
export const LENT_PACKAGES = [
  '@langchain/anthropic', '@langchain/core', '@langchain/langgraph', '@langchain/langgraph-checkpoint', '@langchain/ollama', '@langchain/openai',
  'langchain', 'zod'
] as const

/**
 * The modules of our own packages, by the names under which the module `path` imports them, but for those of packages that it has of its own:
 * an agent runs with the versions that it was written for.
 */
export function lendPackages (path: string): Record<string, string> {
  const missing = LENT_PACKAGES.filter(name => findManifest(path, name) === undefined)
  return Object.fromEntries(missing.flatMap(listEntries))
}

/** Each entry by its own name: a package's folder would not do, since `exports` says where in it an entry is. */
function listEntries (name: string): [name: string, path: string][] {
  const manifest = findManifest(fileURLToPath(import.meta.url), name)
  const content: unknown = manifest === undefined ? {} : JSON.parse(readFileSync(manifest, 'utf8'))
  const exported = isJsonObject(content) && isJsonObject(content.exports) ? Object.keys(content.exports) : []
  return exported.filter(key => !key.includes('*')).map(key => {
    const specifier = join(name, key).replaceAll('\\', '/')
    return [specifier, fileURLToPath(import.meta.resolve(specifier))]
  })
}

/** The manifest of the package that a module gets when it imports this name. */
function findManifest (path: string, name: string): string | undefined {
  const folders = createRequire(path).resolve.paths(name) ?? []
  // A package is found upwards of the module; the folders of the whole machine come last, and are not looked into by `import`.
  return folders.filter(folder => path.startsWith(dirname(folder))).map(folder => join(folder, name, 'package.json')).find(existsSync)
}
