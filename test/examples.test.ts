import t from 'tap'
import { Example } from './fixtures/examples.ts'

// With a key the examples would ask a real model.
delete process.env.OPENAI_API_KEY

t.test('pizza: an order waits over a restart, is edited on the way, and is made', async t => {
  const pizza = await Example.start(t, 'pizza')
  t.match((await pizza.service.get('/health')).body.agent, { type: 'graph', name: 'pizza' })
  t.match(await pizza.say('hello'), /Say "order margherita"/)
  const { body: asked } = await pizza.service.say('order margherita')
  t.match(asked, { status: 'waiting_approval', approval_data: { tool_name: 'order_pizza', args: { kind: 'margherita' } } })
  await pizza.restart()
  const decision = { user_id: 'ann', session_id: asked.session_id, approval_id: asked.approval_data?.approval_id, approved: true }
  t.match(await pizza.service.approve({ ...decision, edited_args: { kind: 8 } }), { status: 422, body: { message: /kind/ } }, 'its own tool says what fits')
  t.match(await pizza.service.approve({ ...decision, edited_args: { kind: 'hawaii' } }), { body: { status: 'completed', message: 'One hawaii is on its way.' } })
})

t.test('pizza: an order that is rejected is not made', async t => {
  const pizza = await Example.start(t, 'pizza')
  await pizza.say('order margherita')
  t.match(await pizza.say('reject: too late'), /too late/)
  t.match(await pizza.say('hello'), /Say "order margherita"/)
})

t.test('refund: asks twice, in two forms, and keeps each question over a restart', async t => {
  const refund = await Example.start(t, 'refund')
  t.match(await refund.say('hello'), /Say "refund 20"/)
  const { body: asked } = await refund.service.say('refund 20')
  t.match(asked.approval_data, { tool_name: 'refund', args: { amount: 20 }, description: 'Refund 20 euros' })
  t.match(asked.message, /^I need your approval/, 'what was said in another turn is no part of the question')
  await refund.restart()
  const { body: explain } = await refund.service.say('yes')
  t.match(explain, { status: 'waiting_approval', message: /What for\?/, approval_data: { allowed_decisions: ['approve', 'reject', 'respond'] } })
  await refund.restart()
  t.equal(await refund.say('Broken on arrival'), 'Refunded 20 euros: Broken on arrival')
})

t.test('refund: a no ends it', async t => {
  const refund = await Example.start(t, 'refund')
  await refund.say('refund 20')
  t.equal(await refund.say('no'), 'Nothing was refunded.')
  t.match(await refund.say('hello'), /Say "refund 20"/)
})

t.test('trip: two nodes ask at once, and each is answered as decided, after a restart', async t => {
  const trip = await Example.start(t, 'trip')
  const { body: asked } = await trip.service.say('Lisbon')
  t.match(asked.approval_data?.actions, [{ tool_name: 'fly', description: /flight/ }, { tool_name: 'stay', description: /hotel/ }])
  await trip.restart()
  t.match(await trip.say('approve 1'), /1\. Book a flight.*2\. Book a hotel/s, 'half a decision is none')
  t.equal(await trip.say('approve 1, reject 2'), 'Done: flight in Lisbon booked, no hotel.')
  await trip.say('Rome')
  t.equal(await trip.say('approve all'), 'Done: flight in Rome booked, hotel in Rome booked.')
})
