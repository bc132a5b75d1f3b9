// Books a flight and a hotel, and asks about both at once: two nodes that run side by side, each with an `interrupt` of its own.
//
// Say: Lisbon

import { AIMessage } from '@langchain/core/messages'
import { Annotation, END, interrupt, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph'

const State = Annotation.Root({ ...MessagesAnnotation.spec, flight: Annotation<string>, hotel: Annotation<string> })

/** Waits for a yes or a no: `approve 1, reject 2` answers both questions. */
function book (what: string, { messages }: typeof State.State) {
  const city = messages.at(-1)?.text
  return interrupt(`Book a ${what} in ${city}?`) === 'yes' ? `${what} in ${city} booked` : `no ${what}`
}

export const graph = new StateGraph(State)
  .addNode('fly', state => ({ flight: book('flight', state) }))
  .addNode('stay', state => ({ hotel: book('hotel', state) }))
  .addNode('sum up', ({ flight, hotel }) => ({ messages: [new AIMessage(`Done: ${flight}, ${hotel}.`)] }))
  .addEdge(START, 'fly')
  .addEdge(START, 'stay')
  .addEdge(['fly', 'stay'], 'sum up')
  .addEdge('sum up', END)
  .compile()
