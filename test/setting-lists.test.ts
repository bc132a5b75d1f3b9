import t from 'tap'
import { isOriginList, isProxyList, parseOrigins, splitList } from '../src/setting-lists.ts'

t.test('proxies are addresses and ranges, never everybody', async t => {
  for (const list of ['127.0.0.1', '10.0.0.0/8, 192.168.1.1/32', '::1', 'fd00::/8,2001:db8::1/128', '0.0.0.0/1']) t.ok(isProxyList(list), list)
  const refused = ['', 'true', '1', '*', 'host', '10.0.0.0/0', '::/0', '10.0.0.0/33', '::/129', '10.0.0.0/08', '10.0.0.0/8/8', '10.0.0/8', '1.2.3.4,', 'fe80::1%lo', '::ffff:1.2.3.4', '0:0:0:0:0:ffff:102:304']
  for (const list of refused) t.notOk(isProxyList(list), list)
})

t.test('origins are what a browser sends, or everybody by name', async t => {
  for (const list of ['*', 'https://a.example', 'http://localhost:3000,https://[::1]:8443/', 'HTTPS://A.example']) t.ok(isOriginList(list), list)
  const refused = ['', 'a.example', 'null', '*, https://a.example', 'https://*', 'https://*.example', 'https://me@a.example', 'https://a.example/x', 'https://a.example?x', 'ftp://a.example', 'https://', 'https://a b', 'http://1.2.3.4.5', 'http://a:99999']
  for (const list of refused) t.notOk(isOriginList(list), list)
})

t.test('an origin is compared as browsers write it', async t => {
  t.same(parseOrigins('HTTPS://A.Example:443/ , http://b.example:8080'), ['https://a.example', 'http://b.example:8080'])
  t.same(parseOrigins('*'), ['*'])
})

t.test('white space between entries does not count', async t => {
  t.same(splitList(' a ,b,\tc'), ['a', 'b', 'c'])
})
