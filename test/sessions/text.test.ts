import t from 'tap'
import { readUserName } from '../../src/sessions/metadata.ts'
import { shorten } from '../../src/sessions/text.ts'

t.test('a text is shortened by characters, and none is cut in half', async t => {
  t.equal(shorten('short', 200), 'short')
  t.equal(shorten(`x${'😀'.repeat(300)}`, 200), `x${'😀'.repeat(199)}`)
  t.equal(shorten('x'.repeat(300), 200), 'x'.repeat(200))
  const name = readUserName({ user_profile: { name: `x${'😀'.repeat(300)}` } })
  t.equal(name, `x${'😀'.repeat(199)}`)
})
