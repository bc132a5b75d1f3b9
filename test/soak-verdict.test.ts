import t from 'tap'
import { Random } from '../bench/soak/random.ts'
import { measureDrift, type Point } from '../bench/soak/trend.ts'
import { formatVerdict, judgeLine } from '../bench/soak/verdict.ts'

const HEAP = { what: 'heap', unit: '', rise: { plus: 5, share: 0 }, left: 0 } as const

/** Forty values that waver by `noise` around a line that goes up by `rise` from the first to the last. */
function makePoints (rise: number, noise: number): Point[] {
  const random = new Random(1)
  return Array.from({ length: 40 }, (_, index) => ({ atMs: index * 2000, value: 100 + rise * index / 39 + noise * (random.next() - 0.5) }))
}

t.test('a steady rise is seen under a noise that is larger than it', async t => {
  const verdict = judgeLine(HEAP, { before: 50, points: makePoints(15, 20), after: 50 })
  t.equal(verdict.isFlat, false)
  t.match(formatVerdict(verdict).at(-1), 'RISES')
})

t.test('noise alone is flat', async t => {
  t.equal(judgeLine(HEAP, { before: 50, points: makePoints(0, 20), after: 50 }).isFlat, true)
})

t.test('values that are far off now and then change nothing', async t => {
  const points = makePoints(0, 1).map((point, index) => index % 5 === 4 ? { ...point, value: 100 * index } : point)
  t.ok(Math.abs(measureDrift(points)) < 3, 'a fifth of them are up to forty times the others')
})

t.test('a fall is flat', async t => {
  t.equal(judgeLine(HEAP, { before: 50, points: makePoints(-50, 1), after: 50 }).isFlat, true)
})

t.test('what is there after the load and was not before it is left behind, where nothing may be left', async t => {
  const verdict = judgeLine(HEAP, { before: 50, points: makePoints(0, 1), after: 51 })
  t.equal(verdict.isLeft, true)
  t.match(formatVerdict(verdict).at(-1), 'LEFT BEHIND')
  t.equal(judgeLine({ ...HEAP, left: 1 }, { before: 50, points: makePoints(0, 1), after: 51 }).isLeft, false)
})

t.test('what cannot be measured on this machine is not judged', async t => {
  const nowhere = makePoints(0, 1).map(point => ({ ...point, value: Number.NaN }))
  const verdict = judgeLine(HEAP, { before: Number.NaN, points: nowhere, after: Number.NaN })
  t.match(formatVerdict(verdict).at(-1), 'not measured')
  t.match(verdict, { isFlat: true, isLeft: false })
})

t.test('a run without a single measurement is no proof', async t => {
  t.equal(judgeLine(HEAP, { before: 50, points: [], after: 50 }).isFlat, false)
})

t.test('the same seed gives the same load', async t => {
  const draw = (seed: number): unknown[] => {
    const random = new Random(seed)
    return [random.next(), random.between(1, 6), random.pick(['a', 'b']), random.text(40), random.pickWeighted([[1, 'a'], [2, 'b']])]
  }
  t.same(draw(7), draw(7))
  t.notSame(draw(7), draw(8))
  t.match(draw(7)[3], /^.{40}$/)
})
