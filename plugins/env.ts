import fastifyEnv from '@fastify/env'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Config, FORMATS, formatRefusal, selectSettings, type Environment } from '../src/config.ts'
import { ServiceError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Config
  }
}

/** Where the settings come from; see `mergeEnvironment`. */
export interface EnvOptions {
  readonly env: Environment
}

/** The settings as `fastify.config`, validated; a wrong one ends the start with one line that names it. */
async function env (fastify: FastifyInstance, options: EnvOptions): Promise<void> {
  try {
    // a copy of the schema, because env-schema writes to the one that it is given
    await fastify.register(fastifyEnv, {
      confKey: 'config',
      schema: { ...Config },
      data: selectSettings(options.env),
      env: false,
      ajv: {
        customOptions: ajv => {
          for (const [name, isValid] of Object.entries(FORMATS)) ajv.addFormat(name, isValid)
          return ajv
        }
      }
    })
  } catch (error) {
    throw explainRefusal(error, options.env)
  }
}

function explainRefusal (error: unknown, env: Environment): unknown {
  const names = readRefusedNames(error)
  // no cause: the validator's own error may hold what must not be shown
  return names.length === 0 ? error : new ServiceError('SETTING_INVALID', { message: names.map(name => formatRefusal(name, env[name])).join('; ') })
}

/** The settings that a validation error of env-schema is about; none if it is another error. */
function readRefusedNames (error: unknown): string[] {
  const problems: unknown[] = error instanceof Error && 'errors' in error && Array.isArray(error.errors) ? error.errors : []
  const names = new Set<string>()
  for (const problem of problems) {
    if (typeof problem === 'object' && problem !== null && 'instancePath' in problem) names.add(String(problem.instancePath).slice(1))
  }
  return [...names]
}

export default fp(env, { name: 'env', dependencies: [], fastify: '5.x' })
