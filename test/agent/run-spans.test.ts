import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { RunnableLambda } from '@langchain/core/runnables'
import { tool } from '@langchain/core/tools'
import { GraphInterrupt } from '@langchain/langgraph'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { OfflineModel } from '../../src/agent/offline-model.ts'
import { RunSpans } from '../../src/agent/run-spans.ts'

/** Runs something whose calls are watched, and tells the spans that came of it. */
async function watch (t: Test, run: (callbacks: RunSpans[]) => Promise<unknown>) {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  const exporter = new InMemorySpanExporter()
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  t.after(() => provider.shutdown())
  const tracer = provider.getTracer('test')
  await tracer.startActiveSpan('around', async span => {
    await run([new RunSpans(tracer)]).catch(() => {})
    span.end()
  })
  const spans = exporter.getFinishedSpans()
  const nameOf = (id: string | undefined) => spans.find(span => span.spanContext().spanId === id)?.name
  return spans.map(({ name, parentSpanContext, status, attributes, events }) =>
    ({ name, parent: nameOf(parentSpanContext?.spanId), status: status.code, attributes, events }))
}

t.test('what a tool calls stands below the tool, however deep', async t => {
  const model = new OfflineModel()
  const inner = RunnableLambda.from(async (text: string) => (await model.invoke(text)).text).withConfig({ runName: 'inner' })
  const ask = tool(async ({ text }) => await inner.invoke(text), { name: 'ask', description: 'Asks.', schema: z.object({ text: z.string() }) })
  const spans = await watch(t, async callbacks => await RunnableLambda.from(async () => {
    await ask.invoke({ text: 'canary' })
    return await model.invoke('canary')
  }).invoke('canary', { callbacks }))
  t.same(spans.map(({ name, parent }) => [name, parent]).sort(), [
    ['around', undefined], ['chat offline', 'around'], ['chat offline', 'execute_tool ask'], ['execute_tool ask', 'around']
  ])
  t.notMatch(JSON.stringify(spans), 'canary')
})

t.test('a tool that fails says how by its type; one that stops to ask is no failure', async t => {
  const make = (name: string, error: Error) => tool(async () => { throw error }, { name, description: 'Throws.', schema: z.object({}) })
  const failing = make('failing', new TypeError('canary'))
  const asking = make('asking', new GraphInterrupt([]))
  const spans = await watch(t, async callbacks => {
    await failing.invoke({}, { callbacks }).catch(() => {})
    await asking.invoke({}, { callbacks })
  })
  const [failed, asked] = spans
  t.match(failed, { name: 'execute_tool failing', status: 2, attributes: { 'error.type': 'TypeError' }, events: [] })
  t.match(asked, { name: 'execute_tool asking', status: 0, attributes: { outcome: 'question' } })
  t.notMatch(JSON.stringify(spans), 'canary')
})
