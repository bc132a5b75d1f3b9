import t from 'tap'
import { Topics } from '../src/topics.ts'

t.test('news of a topic wake all who follow it, each for itself, and nobody else', async t => {
  const topics = new Topics(60_000)
  topics.hear()
  const woken: string[] = []
  const wake = (): void => { woken.push('both') }
  const unfollow = topics.follow('a', wake)
  topics.follow('a', wake)
  topics.follow('b', () => { woken.push('b') })
  topics.wake('a')
  unfollow()
  unfollow()
  topics.wake('a')
  topics.wake('nothing')
  t.same(woken, ['both', 'both', 'both'])
  topics.close()
  topics.wake('a')
  t.equal(woken.length, 3)
})

t.test('while nothing is heard all are woken now and then, and once more when news come again', async t => {
  const topics = new Topics(1)
  t.notOk(topics.isHearing)
  let wakes = 0
  const woken = async (): Promise<void> => await new Promise(resolve => {
    const life = setInterval(() => {}, 60_000)
    const unfollow = topics.follow('a', () => {
      clearInterval(life)
      unfollow()
      resolve()
    })
  })
  await woken()
  topics.hear()
  t.ok(topics.isHearing)
  topics.follow('b', () => { wakes++ })
  topics.hear()
  t.equal(wakes, 1)
  topics.miss()
  await woken()
  t.ok(wakes > 1)
  topics.close()
})

t.test('one who leaves, and follows again, as it is woken is woken once', async t => {
  const topics = new Topics(60_000)
  let wakes = 0
  const follow = (): void => {
    const unfollow = topics.follow('a', () => {
      wakes++
      unfollow()
      follow()
    })
  }
  follow()
  topics.hear()
  t.equal(wakes, 1)
  topics.close()
})
