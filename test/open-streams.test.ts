import t from 'tap'
import { OpenStreams } from '../src/open-streams.ts'

t.test('each client has as many as there may be, and a new one when one has ended', async t => {
  const streams = new OpenStreams(2)
  const release = streams.take('a')
  streams.take('a')
  t.throws(() => streams.take('a'), { code: 'STREAMS_EXCEEDED', statusCode: 429, retryAfterSeconds: 5 })
  streams.take('b')
  release()
  release()
  streams.take('a')
  t.throws(() => streams.take('a'), { code: 'STREAMS_EXCEEDED' }, 'one that ends twice is one')
})

t.test('a client without a stream is forgotten', async t => {
  const streams = new OpenStreams(2)
  const ends = [streams.take('a'), streams.take('a'), streams.take('b')]
  t.equal(streams.clients, 2)
  for (const end of ends) end()
  t.equal(streams.clients, 0)
})

t.test('0 is no limit', async t => {
  const streams = new OpenStreams(0)
  for (let index = 0; index < 1000; index++) streams.take('a')
  t.equal(streams.clients, 1)
})
