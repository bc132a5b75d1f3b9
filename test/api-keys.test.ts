import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { describeKey, findApiKey, listKeySecrets, parseApiKeys, SCOPES, type Scope } from '../src/api-keys.ts'

const hash = (secret: string): string => createHash('sha256').update(secret).digest('hex')

/** What a list says, in a form to compare: `name: scopes`, and the one that a secret finds. */
function read (list: string): string[] {
  return parseApiKeys(list).map(({ name, scopes }) => `${name ?? ''}: ${[...scopes].join(' ')}`)
}

function find (list: string, secret: string): number | undefined {
  return findApiKey(parseApiKeys(list), secret)?.position
}

t.test('a key that is alone and bare may do everything; with a name, or beside others, it may chat and approve', async t => {
  t.same(read('secret'), [': chat approve admin'])
  t.same(read(`sha256:${hash('secret')}`), [': chat approve admin'])
  t.same(read('bot:secret'), ['bot: chat approve'])
  t.same(read('secret,other'), [': chat approve', ': chat approve'])
  t.same(read('secret:admin'), [': admin'], 'and no scope includes another')
})

t.test('the last part counts as scopes only if each of its words is one, and if it is not the only part', async t => {
  const cases: [list: string, read: string, secret: string][] = [
    ['bot:secret:chat', 'bot: chat', 'secret'],
    ['bot:secret:admin+chat+chat', 'bot: chat admin', 'secret'],
    ['bot:secret:chat+root', 'bot: chat approve', 'secret:chat+root'],
    ['bot:secret:chat+', 'bot: chat approve', 'secret:chat+'],
    ['bot:secret:Chat', 'bot: chat approve', 'secret:Chat'],
    ['bot:b:c', 'bot: chat approve', 'b:c'],
    ['bot:b:c:approve', 'bot: approve', 'b:c'],
    ['bot:chat:approve', 'bot: approve', 'chat'],
    ['chat', ': chat approve admin', 'chat'],
    ['chat+approve', ': chat approve admin', 'chat+approve'],
    ['chat:secret', 'chat: chat approve', 'secret'],
    ['bot:chat', ': chat', 'bot']
  ]
  for (const [list, meant, secret] of cases) {
    t.same(read(list), [meant], list)
    t.equal(find(list, secret), 1, `${list} is opened by ${secret}`)
    if (list !== secret) t.equal(find(list, list), undefined, `${list} is not opened by itself`)
  }
})

t.test('a digest stands for its secret, in either case, and does not open by itself', async t => {
  const hex = hash('secret')
  for (const part of [`sha256:${hex}`, `SHA256:${hex.toUpperCase()}`, `bot:sha256:${hex}`, `sha256:${hex}:chat`, `bot:sha256:${hex}:chat`]) {
    t.equal(find(part, 'secret'), 1, part)
    for (const sent of [hex, `sha256:${hex}`, part]) t.equal(find(part, sent), undefined)
  }
  t.equal(find(hex, hex), 1, '64 hexadecimal digits without the word are a secret')
  t.same(read(`bot:sha256:${hex}:chat,sha256:${hash('b')}`), ['bot: chat', ': chat approve'])
})

t.test('every list reads as it was written, and each of its secrets finds its own key', async t => {
  const visible = fc.integer({ min: 0x21, max: 0x7e }).map(code => String.fromCharCode(code)).filter(character => character !== ',')
  const isScopes = (part: string): boolean => part.split('+').every(word => SCOPES.some(scope => scope === word))
  const name = fc.stringMatching(/^[\w.-]{1,32}$/).filter(text => text.toLowerCase() !== 'sha256')
  const secret = fc.oneof(
    fc.string({ unit: visible, minLength: 1, maxLength: 40 }),
    fc.constantFrom('chat', 'chat+approve', 'admin:chat', 'a:b:c', ':', '::', 'a:', ':a', 'a:chat', 'a:chat+')
  ).filter(text => !/^sha256:/i.test(text))
  const key = fc.record({
    name: fc.option(name, { nil: undefined }),
    secret,
    isDigest: fc.boolean(),
    scopes: fc.option(fc.subarray<Scope>([...SCOPES], { minLength: 1 }), { nil: undefined })
  }).filter(({ name, secret, isDigest, scopes }) => {
    if (isDigest) return true
    // What the grammar cannot say: a colon without a name before it, and a secret that ends as scopes do without scopes after it.
    return (name !== undefined || !secret.includes(':')) && (scopes !== undefined || name === undefined || !isScopes(secret.split(':').at(-1) ?? ''))
  })
  const keys = fc.uniqueArray(key, {
    minLength: 2, maxLength: 6, comparator: (a, b) => a.secret === b.secret || (a.name !== undefined && a.name === b.name)
  })
  fc.assert(fc.property(keys, given => {
    const list = given.map(({ name, secret, isDigest, scopes }) =>
      [name, isDigest ? `sha256:${hash(secret)}` : secret, scopes?.join('+')].filter(part => part !== undefined).join(':')).join(',')
    const parsed = parseApiKeys(list)
    t.strictSame(parsed.map(({ name, scopes }) => ({ name, scopes: [...scopes] })),
      given.map(({ name, scopes }) => ({ name, scopes: scopes ?? ['chat', 'approve'] })), list)
    for (const [index, { secret }] of given.entries()) t.equal(findApiKey(parsed, secret), parsed[index], list)
    t.equal(findApiKey(parsed, `${list}x`), undefined)
  }), { numRuns: 300 })
})

t.test('a list that is wrong is refused in one line, with the place of the key and nothing of it', async t => {
  const hex = hash('secret')
  const cases: [list: string, problem: RegExp][] = [
    ['', /key 1 is empty$/], ['hush1,', /key 2 is empty$/], [',hush1', /key 1 is empty$/], ['hush1,,hush2', /key 2 is empty$/],
    ['hush:', /key 1 has no secret$/], ['hush::chat', /key 1 has no secret$/], [':chat', /key 1 is empty$/],
    [':hush', /key 1 has a name of/], ['hu$h:hush', /key 1 has a name of/], [`hush,${'hush'.repeat(9)}:hush2`, /key 2 has a name of/],
    ['sha256:hush', /key 1 has sha256: without 64/], [`sha256:${hex}0`, /key 1 has sha256:/], [`bot:sha256:${hex.slice(1)}:chat`, /key 1 has sha256:/],
    [`hush,bot:sha256:${hash('')}`, /key 2 has the digest of nothing$/],
    ['hush,a,hush', /key 3 has the secret of key 1$/], [`hush:chat,b:sha256:${hash('hush')}`, /key 2 has the secret of key 1$/],
    ['hush:a,hush:b', /key 2 has the name of key 1$/]
  ]
  for (const [list, problem] of cases) {
    t.throws(() => parseApiKeys(list), { code: 'SETTING_INVALID', message: problem }, list)
    t.throws(() => parseApiKeys(list), { message: /^API_KEY must be [^\n]*$/ })
    t.throws(() => parseApiKeys(list), { message: /^(?!.*(?:hush|hu\$h|[0-9a-f]{64}))/ })
  }
})

t.test('a key has an id that is the same at every start, and tells nothing of its secret', async t => {
  const [first] = parseApiKeys('bot:secret')
  t.equal(first?.id, createHash('sha256').update('secret').digest('base64url'))
  t.equal(parseApiKeys(`other,sha256:${hash('secret')}:admin`)[1]?.id, first?.id)
  t.notMatch(JSON.stringify(first), 'secret')
})

t.test('a short secret is known for one; of a digest nobody knows', async t => {
  t.same(parseApiKeys(`${'x'.repeat(15)},${'x'.repeat(16)},sha256:${hash('x')}`).map(({ isWeak }) => isWeak), [true, false, false])
})

t.test('a key is named by its name, or by its place', async t => {
  t.same(parseApiKeys('a:b,c').map(describeKey), ['a', 'key 2'])
})

t.test('each secret of a list is known for one, and so is what stands in a list that is wrong', async t => {
  const secrets = listKeySecrets(`bare-one,bot:named-one:chat,x:two:parts,sha256:${hash('b')},,:`)
  for (const secret of ['bare-one', 'named-one', 'two:parts', `sha256:${hash('b')}`]) t.ok(secrets.includes(secret), secret)
})
