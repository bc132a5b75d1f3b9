import t from 'tap'
import type { AgentEvent } from '../src/agent/agent.ts'
import { AnswerTokens } from '../src/answer-tokens.ts'

const token = (text: string): AgentEvent => ({ type: 'token', text })
const result: AgentEvent = { type: 'tool_result', id: '1', name: 'tool', content: 'x' }

/** What is shown after the last tool result. */
function show (preface: string, events: readonly AgentEvent[], message: string): string {
  const tokens = new AnswerTokens(preface)
  let shown = ''
  for (const event of events) {
    if (event.type === 'tool_result') shown = ''
    shown += tokens.write(event)
  }
  return shown + tokens.finish(message)
}

t.test('the tokens after the last tool result are the message, whatever the agent does', async t => {
  t.equal(show('', [token('One '), token('two')], 'One two'), 'One two')
  t.equal(show('', [token('Let me see.'), result, token('One')], 'One'), 'One')
  t.equal(show('Notice\n\n', [token('Let me see.'), result, token('One'), token(' two')], 'Notice\n\nOne two'), 'Notice\n\nOne two')
  t.equal(show('', [], 'Not streamed'), 'Not streamed')
  t.equal(show('Notice\n\n', [result], 'Notice\n\nNot streamed'), 'Notice\n\nNot streamed')
  t.equal(show('', [token(' '), token('\n')], 'The agent has nothing to say.'), 'The agent has nothing to say.')
  t.equal(show('', [token(' '), token('\n'), token('One')], ' \nOne'), ' \nOne')
})
