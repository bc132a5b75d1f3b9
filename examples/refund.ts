// Pays refunds, and asks twice: a StateGraph written by hand, with LangGraph's plain `interrupt`.
//
// Say: refund 20

import { AIMessage } from '@langchain/core/messages'
import { Annotation, END, interrupt, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph'

const State = Annotation.Root({ ...MessagesAnnotation.spec, amount: Annotation<number>, paidFor: Annotation<string> })

const say = (text: string) => ({ messages: [new AIMessage(text)] })

const refuse = () => ({ amount: 0, ...say('Nothing was refunded.') })

/** How much, if anything was asked for. */
function read ({ messages }: typeof State.State) {
  const amount = Number(/^refund (\d+)$/i.exec(messages.at(-1)?.text ?? '')?.[1])
  return amount > 0 ? { amount } : { amount: 0, ...say('Say "refund 20", for example.') }
}

/** A question in a form that says what it is about; it is answered by "yes" or "no". */
function ask ({ amount }: typeof State.State) {
  const answer = interrupt({ type: 'approval_request', tool_name: 'refund', args: { amount }, description: `Refund ${amount} euros` })
  return answer === 'yes' ? {} : refuse()
}

/** A question in plain words; what the person answers is what comes back, "no" where they say no or nothing for too long. */
function explain () {
  const answer = interrupt('What for? It will stand on the receipt.')
  return answer === 'no' ? refuse() : { paidFor: String(answer) }
}

function pay ({ amount, paidFor }: typeof State.State) {
  return say(`Refunded ${amount} euros: ${paidFor}`)
}

export const graph = new StateGraph(State)
  .addNode({ read, ask, explain, pay })
  .addEdge(START, 'read')
  .addConditionalEdges('read', ({ amount }) => amount > 0 ? 'ask' : END, ['ask', END])
  .addConditionalEdges('ask', ({ amount }) => amount > 0 ? 'explain' : END, ['explain', END])
  .addConditionalEdges('explain', ({ amount }) => amount > 0 ? 'pay' : END, ['pay', END])
  .addEdge('pay', END)
