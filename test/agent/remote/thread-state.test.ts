import t from 'tap'
import { parseState, readPending } from '../../../src/agent/remote/thread-state.ts'

/** A thread whose second turn asks about no tool call. */
const asking = {
  values: {
    messages: [
      { type: 'human', id: 'h1', content: 'send it' },
      { type: 'ai', id: 'a1', content: 'I will', tool_calls: [{ id: 'c1', name: 'send', args: {}, type: 'tool_call' }] },
      { type: 'tool', id: 't1', tool_call_id: 'c1', content: 'sent' },
      { type: 'ai', id: 'a2', content: 'It is sent.' },
      { type: 'human', id: 'h2', content: 'again' }
    ]
  },
  next: ['ask'],
  tasks: [{ name: 'ask', interrupts: [{ id: 'i1', value: 'Go on?' }] }],
  checkpoint: null,
  metadata: { source: 'loop' }
}

t.test('what was said in another turn is no part of a question', async t => {
  t.match(readPending(parseState(asking)), { text: '', actions: [{ toolName: 'ask', toolCallId: '', description: 'Go on?' }] })
})

t.test('what a run wrote, to its end or to a question, is told from what a repair wrote', async t => {
  t.equal(parseState(asking).isOfRun, true)
  t.equal(parseState({ ...asking, next: [], tasks: [] }).isOfRun, true)
  t.equal(parseState({ ...asking, next: [], tasks: [], metadata: { source: 'update' } }).isOfRun, false, 'one that was repaired')
})
