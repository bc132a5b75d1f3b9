import t from 'tap'
import { formatUsage, parseRequest } from '../../../src/sessions/admin/commands.ts'

t.test('words that make no sense are refused in one line', async t => {
  for (const [words, message] of [
    ['', 'Which command?'],
    ['frob', 'There is no command "frob"'],
    ['list --frob', /^Unknown option '--frob'$/],
    ['list x', 'list takes no "x"'],
    ['import a b', 'import takes no "b"'],
    ['show', 'show needs <session_id|user_id>'],
    ['count --pending', 'count takes no option --pending'],
    ['list --platform', /^Option '--platform <value>' argument missing$/],
    ['migrate --from csv', 'migrate needs --to <address>'],
    ['migrate --from= --to csv', 'migrate needs --from <address>'],
    ['list --from csv', 'list takes no option --from'],
    ['list --json=yes', /^Option '--json' does not take an argument$/]
  ] as const) {
    t.throws(() => parseRequest(words === '' ? [] : words.split(' ')), { name: 'UsageError', message }, words)
  }
  t.throws(() => parseRequest(['import', '']), { message: 'import needs <file>' })
})

t.test('words that make sense are taken, in any order, and help before all else', async t => {
  for (const words of ['list --pending --platform api', '--json count', 'export', 'export out.csv --json', 'show -- -x', 'migrate --to redis --dry-run --from csv:a.csv']) {
    t.type(parseRequest(words.split(' ')).run, 'function', words)
  }
  t.equal(parseRequest(['--json', 'count']).isJson, true)
  for (const words of ['--help', '-h', 'list --help', 'frob --help']) t.equal(parseRequest(words.split(' ')).run, undefined, words)
})

t.test('the usage names every command, and fits a terminal', async t => {
  const usage = formatUsage()
  for (const name of ['list', 'show', 'count', 'verify', 'compact', 'export', 'import', 'backup', 'migrate']) t.match(usage, new RegExp(`^ {2}${name} `, 'm'))
  t.ok(usage.split('\n').every(line => line.length <= 150))
})
