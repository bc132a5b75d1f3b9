import t from 'tap'
import { isLoopback, readAccess } from '../src/access.ts'

t.test('this machine is 127.0.0.0/8, ::1 and localhost; everything else may be reached from elsewhere', async t => {
  for (const host of ['127.0.0.1', '127.255.0.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', 'localhost', 'LocalHost']) t.equal(isLoopback(host), true, host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', '::ffff:10.0.0.1', '::2', 'fe80::1', '127.1', '0', 'localhost.example.com', 'example.com']) {
    t.equal(isLoopback(host), false, host)
  }
})

t.test('without a key only this machine may call, unless everybody may by name', async t => {
  t.same(readAccess({ apiKey: undefined, auth: 'on', host: '127.0.0.1' }), { keys: [], isLocal: true })
  t.same(readAccess({ apiKey: undefined, auth: 'off', host: '0.0.0.0' }), { keys: [], isLocal: false })
  t.match(readAccess({ apiKey: 'secret', auth: 'on', host: '0.0.0.0' }), { keys: [{ position: 1 }], isLocal: false })
  t.throws(() => readAccess({ apiKey: undefined, auth: 'on', host: '0.0.0.0' }), {
    code: 'SETTING_INVALID',
    message: 'API_KEY must be set to listen on 0.0.0.0: API_KEY=<secret>, or AUTH=off to let anybody call'
  })
})

t.test('keys that nobody would have to send are a contradiction', async t => {
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    t.throws(() => readAccess({ apiKey: 'hush', auth: 'off', host }), { code: 'SETTING_INVALID', message: /^API_KEY must be left out with AUTH=off(?!.*hush)/ })
  }
})
