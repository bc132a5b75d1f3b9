import { stat, statfs } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Environment } from '../src/config.ts'
import { findEphemeralFolders, type FolderFiles } from '../src/ephemeral-data.ts'

/** Which files must outlive the container, and where it runs. */
export interface EphemeralDataOptions {
  readonly paths: readonly string[]
  readonly env: Environment
  readonly files?: FolderFiles
}

/** Warns, once at the start, where a platform will drop the data folder with the container. */
async function ephemeralData (fastify: FastifyInstance, { paths, env, files = { stat, statfs } }: EphemeralDataOptions): Promise<void> {
  fastify.addHook('onReady', async function warnOfEphemeralData () {
    try {
      for (const { folder, platform, fileSystem, nextStep } of await findEphemeralFolders(paths, env, files)) {
        fastify.log.warn({ folder, platform, file_system: fileSystem },
          `What is kept in ${folder} is gone after the next deploy: it looks like a part of the container. On ${platform}, ${nextStep}`)
      }
    } catch (err) {
      // No reason not to start.
      fastify.log.warn({ err }, 'Whether the data folder outlives the container cannot be told')
    }
  })
}

// Behind the store, which makes the folder.
export default fp(ephemeralData, { name: 'ephemeral-data', dependencies: ['session-store'], fastify: '5.x' })
