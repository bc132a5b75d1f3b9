import t from 'tap'
import { prefersEventStream } from '../src/accept.ts'

t.test('who names the stream, and no less than JSON, is given a stream', async t => {
  for (const accept of [
    'text/event-stream', 'Text/Event-Stream', 'text/event-stream;charset=utf-8', 'text/event-stream, */*;q=0.1', 'application/json;q=0.5, text/event-stream',
    'application/json, text/event-stream', '*/*, text/event-stream', 'text/event-stream;q=0.5, application/json;q=0', 'text/event-stream; q=0.5, application/*;q=0.4, */*'
  ]) t.ok(prefersEventStream(accept), accept)
})

t.test('everybody else is given JSON, as ever', async t => {
  for (const accept of [
    undefined, '', '*/*', 'text/*', 'application/json', 'text/event-stream;q=0', 'text/event-stream;q=0.5, application/json', 'text/event-stream;q=0.5, */*',
    'text/event-stream-more', 'text/event-stream;q=nonsense', 'text/html, application/xhtml+xml, */*;q=0.8'
  ]) t.notOk(prefersEventStream(accept), String(accept))
})
