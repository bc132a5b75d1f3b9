import { dirname, resolve } from 'node:path'
import type { Environment } from './config.ts'
import { isCoded } from './errors.ts'

/** The file operations in use; both as of `node:fs/promises`. */
export interface FolderFiles {
  statfs (path: string): Promise<{ readonly type: number }>
  stat (path: string): Promise<{ readonly dev: number }>
}

/** A folder whose files are likely to be gone after the next deploy. */
export interface EphemeralFolder {
  readonly folder: string
  readonly platform: string
  /** `overlay`, `tmpfs`, or `root` for that of the container itself. */
  readonly fileSystem: string
  /** What to do about it. */
  readonly nextStep: string
}

/** What `statfs` calls the file systems of a container's own. */
const EPHEMERAL_TYPES: ReadonlyMap<number, string> = new Map([[0x794c7630, 'overlay'], [0x01021994, 'tmpfs']])

/** Platforms that start each deploy from the image, with what they set in the environment. */
const PLATFORMS: ReadonlyArray<{ name: string, mark: RegExp, nextStep: (folder: string) => string }> = [
  { name: 'Railway', mark: /^RAILWAY_(PROJECT|SERVICE|ENVIRONMENT)_ID$/, nextStep: folder => `attach a volume to the service with the mount path ${folder}` },
  { name: 'Render', mark: /^RENDER$/, nextStep: folder => `add a disk to the service with the mount path ${folder}` },
  { name: 'Fly.io', mark: /^FLY_APP_NAME$/, nextStep: folder => `create a volume, and let [mounts] in fly.toml have destination = "${folder}"` }
]

/**
 * The folders of files that a platform of these drops with the container: on its overlay, in memory, or where its root is. None on any other machine,
 * where such a folder may be meant.
 */
export async function findEphemeralFolders (paths: readonly string[], env: Environment, files: FolderFiles): Promise<EphemeralFolder[]> {
  const platform = PLATFORMS.find(({ mark }) => Object.entries(env).some(([name, value]) => mark.test(name) && value !== undefined && value !== ''))
  if (platform === undefined) return []
  const found: EphemeralFolder[] = []
  for (const folder of new Set(paths.map(path => dirname(resolve(path))))) {
    const fileSystem = await readFileSystem(folder, files)
    if (fileSystem !== undefined) found.push({ folder, platform: platform.name, fileSystem, nextStep: platform.nextStep(folder) })
  }
  return found
}

/** Undefined for one that lasts, and for a folder that is not there, in which nothing is kept. */
async function readFileSystem (folder: string, { statfs, stat }: FolderFiles): Promise<string | undefined> {
  try {
    const { type } = await statfs(folder)
    const [own, root] = [await stat(folder), await stat('/')]
    return EPHEMERAL_TYPES.get(type) ?? (own.dev === root.dev ? 'root' : undefined)
  } catch (error) {
    if (isCoded(error, 'ENOENT')) return undefined
    throw error
  }
}
