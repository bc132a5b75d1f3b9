import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { startApp } from './fixtures/app.ts'
import { findSelectors } from './fixtures/promql.ts'
import { Scrape } from './fixtures/scrape.ts'

const pathOf = (name: string): string => fileURLToPath(new URL(`../deploy/${name}`, import.meta.url))

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string, readonly description: string }
}

/** Prometheus' own, and the labels that it adds. */
const SCRAPED = 'up'
const ADDED = new Set(['job', 'instance', 'le'])

function readRules (): Rule[] {
  const { groups }: { groups: readonly { readonly rules: readonly Rule[] }[] } = parse(readFileSync(pathOf('prometheus-alerts.yml'), 'utf8'))
  return groups.flatMap(({ rules }) => rules)
}

function readDashboard () {
  const text = readFileSync(pathOf('grafana-dashboard.json'), 'utf8')
  const dashboard: {
    readonly __inputs: readonly { readonly name: string, readonly pluginId: string }[]
    readonly title: string
    readonly templating: { readonly list: readonly { readonly definition: string }[] }
    readonly annotations: { readonly list: readonly { readonly expr: string }[] }
    readonly panels: readonly {
      readonly id: number,
      readonly type: string,
      readonly title: string,
      readonly datasource?: { readonly uid: string },
      readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>,
      readonly targets?: readonly { readonly expr: string }[]
    }[]
  } = JSON.parse(text)
  return dashboard
}

/** Each metric of a query is in the scrape, with the labels that are asked for, and with a value where one is named. */
function checkQuery (t: Test, query: string, scrape: Scrape): void {
  const selectors = findSelectors(query)
  t.ok(selectors.length > 0, `a metric in: ${query}`)
  for (const { name, matchers } of selectors) {
    if (name === SCRAPED) continue
    const samples = scrape.find(name)
    t.ok(samples.length > 0, `there is ${name}, as in: ${query}`)
    for (const { label, operator, value } of matchers) {
      if (ADDED.has(label)) continue
      t.ok(samples.some(({ labels }) => label in labels), `${name} has the label ${label}`)
      if (operator === '=') t.ok(samples.some(({ labels }) => labels[label] === value), `${name} has ${label}="${value}"`)
    }
  }
}

t.test('every metric, label and value that an alert asks for is in a scrape', async t => {
  const scrape = await Scrape.take(await startApp(t))
  for (const { expr } of readRules()) checkQuery(t, expr, scrape)
})

t.test('every metric, label and value that a panel asks for is in a scrape', async t => {
  const scrape = await Scrape.take(await startApp(t))
  const { panels, templating, annotations } = readDashboard()
  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  t.ok(queries.length > 30)
  for (const query of [...queries, ...annotations.list.map(({ expr }) => expr)]) checkQuery(t, query, scrape)
  for (const { definition } of templating.list) {
    const metric = /^label_values\((\w+)/.exec(definition)?.[1] ?? ''
    t.ok(scrape.find(metric).length > 0, definition)
  }
})

t.test('every metric of the service\'s own is on the dashboard', async t => {
  const scrape = await Scrape.take(await startApp(t))
  const queries = readDashboard().panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  const shown = new Set(queries.flatMap(query => findSelectors(query).map(({ name }) => name)))
  const bases = new Set(scrape.names.filter(name => name.startsWith('holdline_')).map(name => name.replace(/_(bucket|sum|count)$/, '')))
  bases.delete('holdline_build_info')
  for (const base of bases) t.ok([base, `${base}_bucket`, `${base}_count`].some(name => shown.has(name)), base)
})

t.test('an alert has a name of its own, a severity, how long it has to last, and what to tell a person', async t => {
  const rules = readRules()
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const rule of rules) {
    t.match(rule, { for: /^\d+[sm]$/, labels: { severity: /^(warning|critical)$/ }, annotations: { summary: /\S/, description: /\S/ } }, rule.alert)
  }
})

t.test('the dashboard can be imported: its source is asked for, and its panels stand beside each other', async t => {
  const { __inputs: inputs, panels, title } = readDashboard()
  t.match(inputs, [{ name: 'DS_PROMETHEUS', pluginId: 'prometheus' }])
  t.equal(title, 'Holdline')
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const taken = new Set<string>()
  for (const { type, title, datasource, gridPos: { x, y, w, h } } of panels) {
    if (type !== 'row') t.equal(datasource?.uid, '${DS_PROMETHEUS}', title) // eslint-disable-line no-template-curly-in-string -- Grafana's
    t.ok(x + w <= 24, title)
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        t.notOk(taken.has(`${column},${line}`), title)
        taken.add(`${column},${line}`)
      }
    }
  }
})

const promtool = spawnSync('promtool', ['--version']).status === 0

t.test('promtool takes the rules, and the metrics as Prometheus wants them named', { skip: !promtool && 'promtool is not installed' }, async t => {
  const rules = spawnSync('promtool', ['check', 'rules', pathOf('prometheus-alerts.yml')], { encoding: 'utf8' })
  t.equal(rules.status, 0, rules.stdout + rules.stderr)
  const { text } = await Scrape.take(await startApp(t))
  const metrics = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
  t.equal(metrics.status, 0, metrics.stdout + metrics.stderr)
})

t.test('a query is read for its metrics alone', async t => {
  const names = (query: string) => findSelectors(query).map(({ name }) => name)
  t.same(names('sum by (job, le) (rate(a_total{x="b_total", y=~"c|d"}[5m])) / on (job) group_left (z) b > bool 1e3 and absent(up)'), ['a_total', 'b', 'up'])
  t.same(names('histogram_quantile(0.99, sum(rate(a_bucket[$__rate_interval])) by (le)) offset 5m unless time() - process_start > 86400'), ['a_bucket', 'process_start'])
  t.same(findSelectors('a{b="}{", c!~\'d\'} or e'), [
    { name: 'a', matchers: [{ label: 'b', operator: '=', value: '}{' }, { label: 'c', operator: '!~', value: 'd' }] }, { name: 'e', matchers: [] }
  ])
})
