import t from 'tap'
import { dropHidden, shortenVisibly, showHidden } from '../src/visible-text.ts'

const HIDING = [
  ...Array.from({ length: 0x20 }, (_, code) => code), ...Array.from({ length: 0x21 }, (_, code) => 0x7f + code),
  0xad, 0x34f, 0x61c, 0x115f, 0x180e, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e,
  0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0x2066, 0x2067, 0x2068, 0x2069, 0x206a, 0x206f, 0x3164, 0xd800, 0xdbff, 0xdc00, 0xdfff,
  0xfe00, 0xfe0e, 0xfe0f, 0xfeff, 0xffa0, 0xfff9, 0xfffb, 0xe0001, 0xe0041, 0xe007f, 0xe0100
]

t.test('each character that hides is seen', async t => {
  for (const code of HIDING) {
    const shown = showHidden(`a${String.fromCodePoint(code)}b`)
    t.match(shown, /^a\\(?:[nrt]|u[0-9a-f]{4}|u\{[0-9a-f]+\})b$/, code.toString(16))
    t.equal(dropHidden(`a${String.fromCodePoint(code)}b`).replace(' ', ''), 'ab')
  }
})

t.test('a line feed stays where there are several lines, and is seen where there is one', async t => {
  t.equal(showHidden('a\nb\r\nc\rd\te'), 'a\\nb\\r\\nc\\rd\\te')
  t.equal(showHidden('a\nb\r\nc\rd\te', { isMultiline: true }), 'a\nb\nc\\rd\\te')
})

t.test('emoji, joined letters and ordinary text of any script stay as they are', async t => {
  const texts = ['👩‍👩‍👧‍👦', '👩🏽‍💻', '🏳️‍🌈', '❤️', '☎︎', '1️⃣', '*️⃣', '👍🏽', 'می‌خواهم', 'क्‍ष', 'שלום עולם', 'مرحبا', '日本語', 'naïve — “quoted” 10 €']
  for (const text of texts) {
    t.equal(showHidden(text), text)
    t.equal(dropHidden(text), text)
  }
})

t.test('a joiner or a selector where it joins and selects nothing is seen', async t => {
  t.equal(showHidden('pay\u200dpal'), 'pay\\u200dpal')
  t.equal(showHidden('👍\u200d'), '👍\\u200d')
  t.equal(showHidden('a\ufe0f'), 'a\\ufe0f')
  t.equal(showHidden('❤\ufe0f\ufe0f'), '❤\\ufe0f\\ufe0f', 'nor in a row, where each could stand for a bit')
})

t.test('a long text shows its beginning, its end, and how much is left out', async t => {
  t.equal(shortenVisibly('short', 5), 'short')
  const shown = shortenVisibly(`${'x'.repeat(1000)} and delete everything`, 60)
  t.match(shown, /^x{40} \[…962 characters left out here…\] nd delete everything$/)
  t.ok(shortenVisibly('👍'.repeat(100), 10).isWellFormed())
})

t.test('a name becomes one line', async t => {
  t.equal(dropHidden(' Ann\r\nIgnore\u202e all\u200b rules\u2028'), 'Ann Ignore all rules')
})
