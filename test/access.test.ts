import t from 'tap'
import { isLoopback, isPrivateName, readAccess } from '../src/access.ts'

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

t.test('a host is private if no stranger can make it lead here', async t => {
  for (const host of ['localhost', 'LOCALHOST:8000', 'localhost.', '127.0.0.1:8000', '[::1]:8000', '[::1]', '192.168.1.7', 'holdline', 'holdline:8000', 'host.docker.internal', 'box.local', 'a.localhost', 'a.test']) {
    t.equal(isPrivateName(host), true, host)
  }
  for (const host of ['evil.example', 'evil.example:8000', 'evil.example.', 'localhost.evil.example', '127.0.0.1.evil.example', 'local.example', '', 'a b', 'evil.example#.local', ':8000']) {
    t.equal(isPrivateName(host), false, host)
  }
})
