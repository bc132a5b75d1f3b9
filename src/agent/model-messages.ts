import { randomUUID } from 'node:crypto'
import { AIMessage } from '@langchain/core/messages'
import { createMiddleware } from 'langchain'

/**
 * Makes what a model says safe to keep in a thread.
 *
 * An object with a key `lc` is revived by LangChain when the thread is loaded, and one of an unknown kind makes the thread unreadable for good: the
 * key gets another name. And a message gets an id of ours, because a thread holds one message an id, and there are providers that use theirs again.
 */
export function keepSafely () {
  return createMiddleware({
    name: 'KeepSafely',
    wrapModelCall: async (request, handler) => {
      const message = await handler(request)
      if (!AIMessage.isInstance(message)) return message
      // Set as a property alone, it would not be saved along with the message.
      message._updateId(randomUUID())
      for (const part of [message.content, message.tool_calls, message.additional_kwargs, message.response_metadata]) renameReserved(part)
      return message
    }
  })
}

function renameReserved (value: unknown): void {
  const waiting: unknown[] = [value]
  while (waiting.length > 0) {
    const current = waiting.pop()
    if (typeof current !== 'object' || current === null) continue
    if ('lc' in current) {
      Object.assign(current, { _lc: current.lc })
      Reflect.deleteProperty(current, 'lc')
    }
    waiting.push(...Object.values(current))
  }
}
