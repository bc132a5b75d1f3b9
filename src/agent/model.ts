import type { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { initChatModel } from 'langchain'
import { ServiceError } from '../errors.ts'
import { OfflineModel } from './offline-model.ts'

/** Attempts after the first one, with LangChain's own pauses between them: more would outlast the patience of a person in a chat. */
const MAX_RETRIES = 2

/** Which model, and what its provider needs. */
export interface ModelOptions {
  /** `provider:model` or `provider/model`; the offline model if not given. */
  readonly model?: string | undefined
  readonly openaiApiKey?: string | undefined
  readonly openaiBaseUrl?: string | undefined
  readonly anthropicApiKey?: string | undefined
  readonly ollamaBaseUrl?: string | undefined
}

/** A chat model and the name that it goes by. */
export interface NamedModel {
  readonly name: string
  readonly model: BaseChatModel
}

/** Makes the model; throws SETTING_INVALID for an unknown provider or a missing key, naming the variable to set. */
export async function createModel (options: ModelOptions): Promise<NamedModel> {
  if (options.model === undefined) return { name: 'offline', model: new OfflineModel() }
  const { provider, model } = parseModelName(options.model)
  const fields = { modelProvider: provider, maxRetries: MAX_RETRIES, ...describeProvider(provider, options) }
  return { name: `${provider}:${model}`, model: await initChatModel(model, fields) }
}

/** Splits at the first `:` or `/`, since a model's own name may hold either (`ollama:library/llama3:8b`). */
export function parseModelName (name: string): { provider: string, model: string } {
  const match = /^([^:/]+)[:/](.+)$/.exec(name)
  const [, provider, model] = match ?? []
  if (provider === undefined || model === undefined) {
    throw new ServiceError('SETTING_INVALID', { message: `MODEL must be provider:model, for example openai:gpt-5-mini, received "${name}"` })
  }
  return { provider, model }
}

function describeProvider (provider: string, options: ModelOptions): object {
  switch (provider) {
    case 'openai': return {
      apiKey: requireKey('OPENAI_API_KEY', provider, options.openaiApiKey),
      ...(options.openaiBaseUrl !== undefined && { configuration: { baseURL: options.openaiBaseUrl } })
    }
    case 'anthropic': return { apiKey: requireKey('ANTHROPIC_API_KEY', provider, options.anthropicApiKey) }
    case 'ollama': return options.ollamaBaseUrl === undefined ? {} : { baseUrl: options.ollamaBaseUrl }
    default: throw new ServiceError('SETTING_INVALID', {
      message: `MODEL must name one of the providers openai, anthropic, ollama, received "${provider}": set MODEL to, for example, openai:gpt-5-mini`
    })
  }
}

function requireKey (variable: string, provider: string, key: string | undefined): string {
  if (key !== undefined) return key
  throw new ServiceError('SETTING_INVALID', { message: `${variable} must be set, since MODEL names the provider ${provider}` })
}
