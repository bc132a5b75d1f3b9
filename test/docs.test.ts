import { readFile } from 'node:fs/promises'
import { test } from 'tap'
import { Config } from '../src/config.ts'
import { ERRORS } from '../src/errors.ts'

function readText (name: string): Promise<string> {
  return readFile(new URL(`../${name}`, import.meta.url), 'utf8')
}

/** The cells of the rows under `## <heading>` whose first cell is code. */
function readTable (markdown: string, heading: string): string[][] {
  const [, section = ''] = markdown.split(new RegExp(`^## ${heading}$`, 'm'))
  const [table = ''] = section.split(/^## /m)
  return table.split('\n').filter(line => line.startsWith('| `')).map(line => line.split(/(?<!\\)\|/).slice(1, -1).map(cell => cell.trim()))
}

/** What a cell says as code, when it says nothing else. */
function readCode (cell: string | undefined): string | undefined {
  return /^`([^`]+)`$/.exec(cell ?? '')?.[1]
}

interface ExampleSetting {
  readonly name: string
  readonly value: string
  /** The comment above it. */
  readonly text: string
}

/** The settings of an example file, each commented out below its text. */
function readExample (text: string): ExampleSetting[] {
  return [...text.matchAll(/((?:^# .*\n)*)^#([A-Z_]+)=(.*)$/gm)].map(([, comment = '', name = '', value = '']) =>
    ({ name, value, text: comment.replaceAll(/^# /gm, '').trim().replaceAll('\n', ' ') }))
}

function readDefault (schema: { default?: unknown }): string | undefined {
  return schema.default === undefined ? undefined : String(schema.default)
}

/** The codes above the comment that sets the errors of a failed start apart. */
function readClientCodes (source: string): string[] {
  const [clientPart = '', startPart = ''] = source.split('they never reach a client.')
  return Object.keys(ERRORS).filter(code => clientPart.includes(` ${code}: {`) && !startPart.includes(` ${code}: {`))
}

test('.env.example has every setting with its text and default, all commented out', async t => {
  const text = await readText('.env.example')
  t.same(readExample(text), Object.entries(Config.properties).map(([name, schema]) =>
    ({ name, value: readDefault(schema) ?? '', text: schema.description })))
  t.same(text.split('\n').filter(line => line !== '' && !line.startsWith('#')), [], 'nothing is set in it')
})

test('the README\'s table has every setting with its default; without a default, it says so in words', async t => {
  const rows = readTable(await readText('README.md'), 'Settings')
  t.same(rows.map(([name, value]) => [readCode(name), readCode(value)]),
    Object.entries(Config.properties).map(([name, schema]) => [name, readDefault(schema)]))
})

test('the README\'s table has every error code that reaches clients, with its status', async t => {
  const rows = readTable(await readText('README.md'), 'Errors')
  const codes = readClientCodes(await readText('src/errors.ts'))
  t.same(rows.map(([code, status]) => `${readCode(code)} ${status}`).sort(),
    Object.entries(ERRORS).filter(([code]) => codes.includes(code)).map(([code, { status }]) => `${code} ${status}`).sort())
})

test('a code that ends a start is told from one that reaches clients', async t => {
  const codes = readClientCodes(await readText('src/errors.ts'))
  t.ok(codes.includes('SESSION_NOT_FOUND'))
  t.ok(codes.includes('AGENT_TIMEOUT'))
  t.notOk(codes.includes('SETTING_INVALID'))
  t.notOk(codes.includes('FILE_LOCKED'))
})

test('a table is read from its own section, row by row', async t => {
  const markdown = '# A\n\n## Settings\n\ntext | text\n\n| name | default | |\n| --- | --- | --- |\n| `A` | `1` | a \\| b |\n| `B` | none | |\n\n## Errors\n\n| `C` | 404 | |\n'
  t.same(readTable(markdown, 'Settings'), [['`A`', '`1`', 'a \\| b'], ['`B`', 'none', '']])
  t.same(readTable(markdown, 'Errors'), [['`C`', '404', '']])
  t.same(readTable(markdown, 'Other'), [])
})

test('code is told from words', async t => {
  t.equal(readCode('`8000`'), '8000')
  t.equal(readCode('`a` beside `b`'), undefined)
  t.equal(readCode('none'), undefined)
})

test('an example file is read with texts of several lines', async t => {
  t.same(readExample('# head\n\n# a\n# b\n#A=1\n\n# c\n#B=\n'), [{ name: 'A', value: '1', text: 'a b' }, { name: 'B', value: '', text: 'c' }])
})
