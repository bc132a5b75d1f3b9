import t from 'tap'
import { RemoteFailure } from '../../../src/agent/remote/failure.ts'
import { describeUnreachable, Reachability } from '../../../src/agent/remote/reachability.ts'
import { makeGate } from '../../fixtures/gate.ts'
import { RecordingLog } from '../../fixtures/recording-log.ts'

t.test('a storm of questions is one look, and each is answered at once with what was found last', async t => {
  const gates = [makeGate(), makeGate()]
  let nowMs = 0
  let looks = 0
  const probe = async () => {
    looks++
    await gates[looks - 1]?.opened
    if (looks === 1) throw new RemoteFailure('connection', 'ECONNREFUSED at 10.0.0.1')
  }
  const log = new RecordingLog()
  const reachability = new Reachability(probe, { log, now: () => nowMs, restMs: 5000 })
  for (let n = 0; n < 1000; n++) t.equal(reachability.look(), undefined)
  t.equal(looks, 1)
  gates[0]?.open()
  await settle()
  nowMs = 4999
  t.equal(reachability.look(), 'the LangGraph server cannot be reached')
  t.equal(looks, 1, 'it rests')
  nowMs = 5000
  t.equal(reachability.look(), 'the LangGraph server cannot be reached')
  t.equal(reachability.look(), 'the LangGraph server cannot be reached')
  t.equal(looks, 2)
  gates[1]?.open()
  await settle()
  t.equal(reachability.look(), undefined)
  t.match(log.lines, [/does not answer/, /answers again/], 'one line for each change')
})

t.test('what did not answer in time is unreachable', async t => {
  const reachability = new Reachability(async signal => {
    await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason) }) })
  }, { log: new RecordingLog(), timeoutMs: 1, restMs: 0 })
  while (reachability.look() === undefined) await settle()
  t.equal(reachability.look(), 'the LangGraph server did not answer in time')
})

t.test('a server that refuses is there', async t => {
  t.equal(describeUnreachable(new RemoteFailure('status', 'answered 401: your key sk-1', { status: 401 })), undefined)
  t.equal(describeUnreachable(new RemoteFailure('status', 'answered 503: secret', { status: 503 })), 'the LangGraph server answers 503')
})

function settle (): Promise<void> {
  return new Promise(resolve => { setImmediate(resolve) })
}
