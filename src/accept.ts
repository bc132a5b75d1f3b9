interface MediaRange {
  readonly type: string
  readonly quality: number
}

/**
 * Whether a client that sends this `Accept` prefers an event stream to JSON (RFC 9110, 12.5.1). It has to name the stream: to one that takes
 * anything, or says nothing, JSON is what it always got.
 */
export function prefersEventStream (accept: string | undefined): boolean {
  // Nearly every request: nothing to weigh.
  if (accept === undefined || !/event-stream/i.test(accept)) return false
  const ranges = accept.split(',').map(parseRange)
  const stream = ranges.find(range => range.type === 'text/event-stream')?.quality ?? 0
  // The most specific range that a type falls under is the one that counts.
  const json = ['application/json', 'application/*', '*/*'].map(type => ranges.find(range => range.type === type)?.quality).find(quality => quality !== undefined)
  return stream > 0 && stream >= (json ?? 0)
}

function parseRange (text: string): MediaRange {
  const [type = '', ...parameters] = text.split(';').map(part => part.trim().toLowerCase())
  const quality = parameters.find(parameter => parameter.startsWith('q='))?.slice(2)
  const value = quality === undefined ? 1 : Number(quality)
  return { type, quality: Number.isFinite(value) ? value : 0 }
}
