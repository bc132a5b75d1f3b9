import { test } from 'tap'
import { Bell } from '../src/bell.ts'

/** Longer than any test: what resolves did so for another reason. */
const LONG_MS = 100_000

test('whoever listens hears the bell', async t => {
  const bell = new Bell()
  const heard = bell.hear(LONG_MS)
  bell.ring()
  await t.resolves(heard)
})

test('a bell that rang before anybody listened is heard once', async t => {
  const bell = new Bell()
  bell.ring()
  bell.ring()
  await bell.hear(LONG_MS)
  const leave = new AbortController()
  const again = bell.hear(LONG_MS, leave.signal)
  leave.abort(new Error('heard nothing'))
  await t.rejects(again, { message: 'heard nothing' })
})

test('a bell that does not ring is waited for no longer than was said', async t => {
  await t.resolves(new Bell().hear(1))
})

test('whoever has left is not waited for, and the next one listens as ever', async t => {
  const bell = new Bell()
  await t.rejects(bell.hear(LONG_MS, AbortSignal.abort(new Error('left'))), { message: 'left' })
  const heard = bell.hear(LONG_MS)
  bell.ring()
  await t.resolves(heard)
})
