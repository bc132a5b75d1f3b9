import { readdirSync, readFileSync } from 'node:fs'
import { basename, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import ts from 'typescript'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FLOORS = ['src', 'plugins', 'routes']

interface Module {
  /** From the root of the repository, as `src/errors.ts`. */
  readonly path: string
  readonly source: ts.SourceFile
  /** All of them, from the top down. */
  readonly nodes: readonly ts.Node[]
}

interface Import {
  /** A package's name, or the path of a module of ours. */
  readonly target: string
  readonly node: ts.Node
}

/** A rule finds the places in a module that break it. */
type Rule = (module: Module) => ts.Node[]

// --- reading a module

function parseModule (path: string, text: string): Module {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const nodes: ts.Node[] = []
  const visit = (node: ts.Node): void => {
    nodes.push(node)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return { path, source, nodes }
}

/** Static, dynamic, type-only and re-exporting imports alike. */
function listImports ({ path, nodes }: Module): Import[] {
  return nodes.flatMap(node => {
    const specifier = readSpecifier(node)
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return []
    const isOurs = specifier.text.startsWith('.')
    return [{ target: isOurs ? posix.join(posix.dirname(path), specifier.text) : specifier.text, node }]
  })
}

function readSpecifier (node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return node.argument.literal
  if (ts.isCallExpression(node) && (node.expression.kind === ts.SyntaxKind.ImportKeyword || node.expression.getText() === 'require')) {
    return node.arguments[0]
  }
  return undefined
}

function findImports (module: Module, isRefused: (target: string) => boolean): ts.Node[] {
  return listImports(module).filter(({ target }) => isRefused(target)).map(({ node }) => node)
}

function formatBreaches (module: Module, rule: Rule): string[] {
  return rule(module).map(node => {
    const { line } = module.source.getLineAndCharacterOfPosition(node.getStart())
    return `${module.path}:${line + 1} ${node.getText().split('\n')[0]}`
  })
}

// --- the rules

/** `sessions` for `src/sessions/csv/codec.ts`; none for a root file of src, or a file elsewhere. */
function nounOf (path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1]
}

/** The processes: the service, and the operator's tool. */
const ENTRIES = new Set(['src/server.ts', 'src/sessions-cli.ts'])

/** What the operator's tool does: the service itself never needs it. */
const TOOL = 'src/sessions/admin/'

/** Floor 4, which knows the others. */
function isWiring (path: string): boolean {
  return path === 'src/app.ts' || ENTRIES.has(path)
}

/** Floor 1, the trade itself. */
function isTrade (path: string): boolean {
  return path.startsWith('src/') && !isWiring(path)
}

/** What the ground knows of an engine: how it is reached, and what all that is kept there is kept by. It knows no noun. */
const GROUND = new Set(['postgres', 'redis'])

/** What a noun shows to the other nouns. An agent never sees a session, and a session no agent: `src/conversation.ts` alone knows both. */
const CONTRACTS = new Set(['src/sessions/session.ts', 'src/sessions/store.ts'])

/** What routes must not know: files, SQL, LangGraph. */
const BELOW_ROUTES = /^((node:)?(fs|sqlite)(\/|$)|better-sqlite3$|pg$|redis$|ioredis$|langchain(\/|$)|@langchain\/)/

const RULES = {
  'nothing imports the floor that wires it, save the process the app': module =>
    findImports(module, target => isWiring(target) && !(module.path === 'src/server.ts' && target === 'src/app.ts')),

  'routes never import plugins': module =>
    module.path.startsWith('routes/') ? findImports(module, target => target.startsWith('plugins/')) : [],

  'routes know no files, no SQL and no LangGraph': module =>
    module.path.startsWith('routes/') ? findImports(module, target => BELOW_ROUTES.test(target)) : [],

  'plugins never import plugins or routes': module =>
    module.path.startsWith('plugins/') ? findImports(module, target => /^(plugins|routes)\//.test(target)) : [],

  'the trade and the operator\'s tool import neither Fastify nor plugins nor routes': module =>
    isTrade(module.path) || module.path === 'src/sessions-cli.ts' ? findImports(module, target => /^(fastify$|fastify[/-]|@fastify\/|plugins\/|routes\/)/.test(target)) : [],

  'a noun imports no other noun, save its contract': module => {
    const noun = nounOf(module.path)
    return noun === undefined
      ? []
      : findImports(module, target => {
        const other = nounOf(target)
        return other !== undefined && other !== noun && !GROUND.has(other) && !CONTRACTS.has(target)
      })
  },

  'the service knows nothing of the operator\'s tool': module =>
    module.path.startsWith(TOOL) || module.path === 'src/sessions-cli.ts' ? [] : findImports(module, target => target.startsWith(TOOL)),

  'only the entries touch the process': module =>
    ENTRIES.has(module.path)
      ? []
      : [...findImports(module, target => /^(node:)?process$/.test(target)), ...module.nodes.filter(isProcess)],

  'a noun takes the clock as an option': module =>
    nounOf(module.path) === undefined ? [] : module.nodes.filter(isAmbientClock),

  'only plugins and routes have a default export': module =>
    /^(plugins|routes)\//.test(module.path) ? [] : module.nodes.filter(isDefaultExport),

  'there are no barrels': module =>
    basename(module.path) === 'index.ts' ? [module.source] : module.nodes.filter(isExportOfAll)
} satisfies Record<string, Rule>

/** The global itself, not a property or a method of that name. */
function isProcess (node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node) && node.getText() === 'globalThis.process') return true
  if (!ts.isIdentifier(node) || node.text !== 'process') return false
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent) || ts.isElementAccessExpression(parent)) return parent.expression === node
  if (ts.isVariableDeclaration(parent)) return parent.initializer === node
  return ts.isCallExpression(parent)
}

/** The time of day, read where it stands. `Date.now` itself may be the default of a parameter or of an option. */
function isAmbientClock (node: ts.Node): boolean {
  if (ts.isNewExpression(node)) return node.expression.getText() === 'Date' && (node.arguments?.length ?? 0) === 0
  if (!ts.isPropertyAccessExpression(node) || node.getText() !== 'Date.now') return false
  const { parent } = node
  if (ts.isParameter(parent) || ts.isBindingElement(parent)) return parent.initializer !== node
  // { now: Date.now, ...options }
  if (ts.isPropertyAssignment(parent)) return !parent.parent.properties.some(property => ts.isSpreadAssignment(property) && property.pos > parent.pos)
  return !(ts.isBinaryExpression(parent) && parent.operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken && parent.right === node)
}

function isDefaultExport (node: ts.Node): boolean {
  if (ts.isExportSpecifier(node)) return node.name.text === 'default'
  return ts.isExportAssignment(node) || node.kind === ts.SyntaxKind.DefaultKeyword
}

function isExportOfAll (node: ts.Node): boolean {
  return ts.isExportDeclaration(node) && node.exportClause === undefined
}

// --- the house keeps its rules

const MODULES: readonly Module[] = FLOORS
  .flatMap(floor => readdirSync(join(ROOT, floor), { recursive: true, encoding: 'utf8' }).map(name => `${floor}/${name.replaceAll('\\', '/')}`))
  .filter(path => path.endsWith('.ts'))
  .map(path => parseModule(path, readFileSync(join(ROOT, path), 'utf8')))

test('the whole house is read', async t => {
  const paths = new Set(MODULES.map(({ path }) => path))
  for (const path of ['src/errors.ts', 'src/sessions/session.ts', 'plugins/env.ts']) t.ok(paths.has(path), path)
})

for (const [title, rule] of Object.entries(RULES)) {
  test(title, async t => {
    t.same(MODULES.flatMap(module => formatBreaches(module, rule)), [])
  })
}

// --- each rule can fail, and refuses no more than it says

interface Trial {
  readonly rule: keyof typeof RULES
  readonly breaks: ReadonlyArray<[path: string, text: string]>
  readonly keeps: ReadonlyArray<[path: string, text: string]>
}

const TRIALS: Trial[] = [
  {
    rule: 'nothing imports the floor that wires it, save the process the app',
    breaks: [['routes/chat.ts', "import { buildApp } from '../src/app.ts'"], ['src/app.ts', "import './server.ts'"], ['src/sessions-cli.ts', "import './app.ts'"], ['src/app.ts', "import './sessions-cli.ts'"], ['src/agent/load.ts', "import '../app.ts'"]],
    keeps: [['src/server.ts', "import { buildApp } from './app.ts'"], ['src/app.ts', "import './errors.ts'"]]
  },
  {
    rule: 'routes never import plugins',
    breaks: [
      ['routes/chat.ts', "import auth from '../plugins/auth.ts'"],
      ['routes/chat.ts', "import type { A } from '../plugins/auth.ts'"],
      ['routes/v2/chat.ts', "export { a } from '../../plugins/auth.ts'"],
      ['routes/chat.ts', "const auth = await import('../plugins/auth.ts')"],
      ['routes/chat.ts', "type Auth = import('../plugins/auth.ts').Auth"]
    ],
    keeps: [['routes/chat.ts', "import { a } from '../src/plugins.ts' // '../plugins/auth.ts'"], ['src/app.ts', "import auth from '../plugins/auth.ts'"]]
  },
  {
    rule: 'routes know no files, no SQL and no LangGraph',
    breaks: ['node:fs', 'fs/promises', 'better-sqlite3', 'pg', 'langchain', '@langchain/core/messages'].map(name => ['routes/chat.ts', `import '${name}'`]),
    keeps: [['routes/chat.ts', "import '@sinclair/typebox'"], ['plugins/agent.ts', "import 'langchain'"]]
  },
  {
    rule: 'plugins never import plugins or routes',
    breaks: [['plugins/auth.ts', "import env from './env.ts'"], ['plugins/auth.ts', "import chat from '../routes/chat.ts'"]],
    keeps: [['plugins/auth.ts', "import fp from 'fastify-plugin'\nimport { a } from '../src/errors.ts'"]]
  },
  {
    rule: 'the trade and the operator\'s tool import neither Fastify nor plugins nor routes',
    breaks: [
      ['src/sessions-cli.ts', "import Fastify from 'fastify'"],
      ['src/sessions/admin/list.ts', "import env from '../../../plugins/env.ts'"],
      ...['fastify', '@fastify/env', 'fastify-plugin', 'fastify/types/logger.js', '../../plugins/env.ts', '../../routes/chat.ts']
        .map((name): [string, string] => ['src/agent/load.ts', `import type { A } from '${name}'`]),
      ['src/log.ts', "import type { FastifyBaseLogger } from 'fastify'"]
    ],
    keeps: [['src/app.ts', "import Fastify from 'fastify'"], ['src/agent/load.ts', "import 'fast-csv'"]]
  },
  {
    rule: 'a noun imports no other noun, save its contract',
    breaks: [
      ['src/agent/load.ts', "import { a } from '../sessions/memory.ts'"],
      ['src/sessions/csv/journal.ts', "import { a } from '../../agent/approvals.ts'"],
      ['src/sessions/memory.ts', "import type { Agent } from '../agent/agent.ts'"]
    ],
    keeps: [
      ['src/agent/load.ts', "import type { JsonObject } from '../sessions/session.ts'\nimport { a } from '../errors.ts'\nimport './agent.ts'"],
      ['src/sessions/csv/journal.ts', "import '../memory.ts'\nimport '../../lock.ts'"],
      ['src/conversation.ts', "import type { Agent } from './agent/agent.ts'\nimport type { SessionStore } from './sessions/store.ts'"]
    ]
  },
  {
    rule: 'the service knows nothing of the operator\'s tool',
    breaks: [
      ['src/sessions/csv/store.ts', "import { a } from '../admin/text.ts'"], ['src/app.ts', "import { a } from './sessions/admin/text.ts'"],
      ['routes/sessions.ts', "import { a } from '../src/sessions/admin/describe.ts'"]
    ],
    keeps: [
      ['src/sessions-cli.ts', "import { a } from './sessions/admin/commands.ts'"], ['src/sessions/admin/list.ts', "import { a } from './view.ts'\nimport '../csv/load.ts'"]
    ]
  },
  {
    rule: 'only the entries touch the process',
    breaks: [
      ...['process.env.PORT', "process['env']", 'const { env } = process', 'start(process)', 'globalThis.process.exit()', "import { env } from 'node:process'"]
        .map((text): [string, string] => ['src/app.ts', text]),
      ['plugins/env.ts', 'a(process.env)'], ['routes/root.ts', 'process.uptime()'], ['src/sessions/admin/list.ts', 'process.stdout.write(1)']
    ],
    keeps: [['src/server.ts', 'process.exit(1)'], ['src/sessions-cli.ts', 'process.exitCode = 1'], ['src/app.ts', "queue.process()\nconst text = 'process.env' // process.env\nclass A { process () {} }"]]
  },
  {
    rule: 'a noun takes the clock as an option',
    breaks: ['const a = Date.now()', 'f(new Date())', 'const now = Date.now', 'function f (at = Date.now()) {}', 'f({ ...options, now: Date.now })', 'const a = b ?? Date.now()']
      .map(text => ['src/agent/load.ts', text]),
    keeps: [
      ['src/agent/load.ts', 'function f (now = Date.now) {}\nfunction g ({ now = Date.now }) {}\nconst now = options.now ?? Date.now\nf({ now: Date.now, ...options })'],
      ['src/agent/load.ts', '// Date.now()\nnew Date(atMs).toISOString()'],
      ['src/conversation.ts', 'Date.now()']
    ]
  },
  {
    rule: 'only plugins and routes have a default export',
    breaks: ['export default 1', 'export default function f () {}', 'export default class {}', 'export { a as default }', "export { default } from './a.ts'"]
      .map(text => ['src/errors.ts', text]),
    keeps: [
      ['plugins/env.ts', 'export default 1'], ['routes/chat.ts', 'export default 1'],
      ['src/errors.ts', "export const a = 1\nimport b from 'b'\nexport { default as c } from 'c'\nswitch (a) { default: }"]
    ]
  },
  {
    rule: 'there are no barrels',
    breaks: [['src/sessions/index.ts', 'const a = 1'], ['src/sessions/all.ts', "export * from './a.ts'"]],
    keeps: [['src/sessions/a.ts', "export { a } from './a.ts'\nexport * as b from './b.ts'"]]
  }
]

function tryRule (t: Test, { rule, breaks, keeps }: Trial): void {
  for (const [path, text] of breaks) t.equal(formatBreaches(parseModule(path, text), RULES[rule]).length, 1, `refused: ${path}: ${text}`)
  for (const [path, text] of keeps) t.same(formatBreaches(parseModule(path, text), RULES[rule]), [], `accepted: ${path}: ${text}`)
}

test('every rule refuses what breaks it and nothing else', async t => {
  t.same(TRIALS.map(({ rule }) => rule), Object.keys(RULES))
  for (const trial of TRIALS) tryRule(t, trial)
})

test('a broken rule is reported with file, line and code', async t => {
  const module = parseModule('routes/chat.ts', "// chat\n\nimport {\n  a\n} from 'a'\nimport auth from '../plugins/auth.ts'\n")
  t.same(formatBreaches(module, RULES['routes never import plugins']), ["routes/chat.ts:6 import auth from '../plugins/auth.ts'"])
})
