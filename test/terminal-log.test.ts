import t from 'tap'
import { formatForTerminal } from '../src/terminal-log.ts'

const SESSION = '82a47e4a-c1ea-4aed-9e07-6427a8d96d2c'
const format = (line: Record<string, unknown>): string => formatForTerminal(line, { dim: text => `<${text}>` })

t.test('a line has its message, its fields and, last and short, its ids', async t => {
  t.equal(
    format({ level: 30, time: 1, pid: 2, hostname: 'h', request_id: '07de041b-cbb7-4e5c-aa68-fd2089b25ea9', outcome: 'completed', session_id: SESSION, msg: 'Turn ended' }),
    'Turn ended <outcome=completed session=82a47e4a request=07de041b>')
  t.equal(format({ msg: 'Stopped' }), 'Stopped')
})

t.test('an id that a client chose is shown as it is', async t => {
  t.equal(format({ request_id: 'trace-1', msg: 'x' }), 'x <request_id=trace-1>')
})

t.test('an error stands below its line, with its causes', async t => {
  const err = { type: 'TypeError', message: 'a', stack: 'TypeError: a\n    at f (x.js:1)', cause: { type: 'Error', message: 'b', stack: '' } }
  t.equal(format({ msg: 'Failed', err }), 'Failed\n<  TypeError: a>\n<    at f (x.js:1)>\n<  caused by b>')
})

t.test('nothing that is logged commands the terminal', async t => {
  const text = format({ msg: 'a\x1b[2Jb', name: '\x1b]0;title\x07', c1: '\x9b31m', err: { stack: 'E\x1b[31m\r\n  at\x08' } })
  // eslint-disable-next-line no-control-regex -- these are what it is about
  t.notMatch(text.replaceAll('\n', ''), /[\0-\x1F\x7F-\x9F]/)
  t.match(text, 'a\\x1b[2Jb')
})
