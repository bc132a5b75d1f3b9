import { accessSync, constants, existsSync, realpathSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ConversationFile } from './agent/checkpointer.ts'
import type { Conversations } from './agent/conversations.ts'
import { ServiceError } from './errors.ts'
import type { MoveAddress } from './move-address.ts'
import type { LookedAtPlace, MovePlace } from './move-place.ts'
import type { FileOperations } from './sessions/csv/files.ts'
import { CsvSessionPlace } from './sessions/move/csv-place.ts'

type Address = MoveAddress & { readonly kind: 'csv' }

/** Opens a session file and the conversations beside it. Throws FILE_LOCKED while a service has them, FILE_INVALID for a source that is not there. */
export async function openCsvPlace (address: Address, role: 'source' | 'target', files: FileOperations, now: () => number): Promise<MovePlace> {
  const { name, path, conversationsPath } = address
  const sessions = await CsvSessionPlace.open({ path, files, role })
  return {
    name,
    sessions,
    notes: sessions.notes,
    conversationsName: nameConversations(conversationsPath),
    openConversations: async (): Promise<Conversations | undefined> =>
      role === 'target' || existsSync(conversationsPath) ? await ConversationFile.open({ path: conversationsPath, now }) : undefined,
    close: async () => { await sessions.close() }
  }
}

/** Looks whether a session file may be moved to, and leaves no trace. Throws FILE_LOCKED or FILE_INVALID. */
export async function lookAtCsvPlace ({ name, path, conversationsPath }: Address, files: FileOperations): Promise<LookedAtPlace> {
  const sessions = await CsvSessionPlace.open({ path, files, role: 'looked at' })
  for (const file of [path, conversationsPath]) checkWritable(file)
  const conversationsName = nameConversations(conversationsPath)
  return { name, sessions, notes: sessions.notes, conversationsName, close: async () => { await sessions.close() } }
}

function nameConversations (path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path)
}

/** Whether a file can be made in its folder, or in the first folder above it that is there. */
function checkWritable (path: string): void {
  let folder = dirname(resolve(path))
  while (!existsSync(folder)) folder = dirname(folder)
  try {
    accessSync(folder, constants.W_OK)
  } catch (cause) {
    throw new ServiceError('FILE_INVALID', { message: `Nothing can be written to ${folder}`, cause })
  }
}
