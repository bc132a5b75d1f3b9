import { Finding, type AnswerBody, type Ask, type Client } from './client.ts'

/** An event of a turn. */
export interface StreamEvent {
  readonly id: string
  readonly name: string
  readonly data: AnswerBody & { readonly text: string }
}

/** What is to be read of a stream. */
export interface Reading {
  /** Goes away after so many events. */
  readonly leaveAfter?: number
}

/** Reads a stream to its end, or goes away before. An answer that is no stream is one event, `refused`. */
export async function readStream (client: Client, ask: Ask, { leaveAfter = Infinity }: Reading = {}): Promise<StreamEvent[]> {
  const response = await client.open({ ...ask, headers: { accept: 'text/event-stream', ...ask.headers } })
  const events: StreamEvent[] = []
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text += String(chunk)
    if (response.statusCode !== 200) continue
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const block = text.slice(0, end)
      text = text.slice(end + 2)
      if (!block.startsWith(':')) events.push(parseEvent(block))
    }
    if (events.length >= leaveAfter) {
      client.count('200 stream left')
      // Leaving the loop destroys the response, and its connection with it.
      return events
    }
  }
  if (response.statusCode !== 200) {
    const data: StreamEvent['data'] = JSON.parse(text)
    client.judge(ask, response.statusCode ?? 0, data.code)
    return [{ id: '', name: 'refused', data }]
  }
  const last = events.at(-1)
  if (last?.name === 'error') client.judge(ask, 200, `error ${last.data.code}`)
  else if (last?.name === 'message') client.count('200 stream')
  else throw new Finding(`A stream of ${ask.path} ended with ${last?.name ?? 'nothing'}`)
  return events
}

function parseEvent (block: string): StreamEvent {
  const [, id = '', name = '', data = ''] = /^id: (.*)\nevent: (.*)\ndata: (.*)$/.exec(block) ?? []
  return { id, name, data: JSON.parse(data) }
}

/** The tokens after the last result of a tool, joined. */
export function joinTokens (events: readonly StreamEvent[]): string {
  const start = events.findLastIndex(event => event.name === 'tool_result') + 1
  return events.slice(start).filter(event => event.name === 'token').map(event => event.data.text).join('')
}

/** Throws unless these events follow on each other without a gap. */
export function checkPositions (events: readonly StreamEvent[]): void {
  const positions = events.map(({ id }) => Number(id.split(':')[1]))
  const first = positions[0] ?? 0
  const gap = positions.findIndex((position, index) => position !== first + index)
  if (gap >= 0) throw new Finding(`Event ${String(positions[gap])} of a stream came where ${first + gap} was to come`)
}
