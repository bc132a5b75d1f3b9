import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse as parseToml } from 'smol-toml'
import t, { type Test } from 'tap'
import { parse as parseYaml } from 'yaml'
import { Config, SECRET_SETTINGS } from '../src/config.ts'
import { startApp } from './fixtures/app.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** A part of a file, whatever that is written in. */
type Part = Record<string, unknown>

function read (name: string): string {
  return readFileSync(join(ROOT, name), 'utf8')
}

function isPart (value: unknown): value is Part {
  return typeof value === 'object' && value !== null
}

/** What stands at the end of a path of names and numbers; undefined where it leads nowhere. */
function at (file: unknown, ...path: ReadonlyArray<string | number>): unknown {
  return path.reduce<unknown>((value, name) => isPart(value) ? value[name] : undefined, file)
}

/** Names and values of a list of variables, as the file gives them. */
function readVariables (value: unknown): Map<string, unknown> {
  return new Map(isPart(value) ? Object.entries(value) : [])
}

/** The variables are settings, secrets have no value in the file, and the grace that they give fits the time that the platform waits. */
function checkVariables (t: Test, variables: ReadonlyMap<string, unknown>, drainSeconds: unknown): void {
  for (const [name, value] of variables) {
    t.ok(name in Config.properties, `${name} is a setting`)
    if (SECRET_SETTINGS.has(name) || name === 'API_KEY') t.notMatch(String(value ?? ''), /^[\w-]+$/, `${name} has no value in the file`)
  }
  checkDrain(t, Number(variables.get('SHUTDOWN_GRACE_SECONDS') ?? Config.properties.SHUTDOWN_GRACE_SECONDS.default), drainSeconds)
}

/** Signal, grace, exit: all before the platform kills. */
function checkDrain (t: Test, graceSeconds: number, drainSeconds: unknown): void {
  t.type(drainSeconds, 'number')
  t.ok(graceSeconds > 0 && graceSeconds + 2 <= Number(drainSeconds), `a grace of ${graceSeconds} s fits ${String(drainSeconds)} s`)
}

const dockerfile = read('Dockerfile')
const image = {
  path: /SESSIONS_CSV_PATH=(\S+)/.exec(dockerfile)?.[1],
  port: Number(/ PORT=(\d+)/.exec(dockerfile)?.[1]),
  user: / RUN_AS=(\S+)/.exec(dockerfile)?.[1]
}

t.test('the probe that all of them use is there', async t => {
  const app = await startApp(t)
  t.equal((await app.get('/health/live')).status, 200)
})

t.test('the image keeps its files in its volume, listens for the network, and starts as root to become an ordinary user', async t => {
  t.equal(image.path, '/data/sessions.csv')
  t.match(dockerfile, /^VOLUME \/data$/m)
  t.match(dockerfile, / HOST=0\.0\.0\.0 /)
  t.equal(image.port, Config.properties.PORT.default)
  t.match(dockerfile, new RegExp(`^EXPOSE ${image.port}$`, 'm'))
  t.match(image.user, new RegExp(String(Config.properties.RUN_AS.pattern)))
  t.match(dockerfile, new RegExp(`chown ${image.user} /data`), 'a new volume gets its owner from the image')
  t.match(dockerfile, /fetch\('http:\/\/127\.0\.0\.1:' \+ \(process\.env\.PORT \|\| 8000\) \+ '\/health\/live'\)/)
  t.match(dockerfile, /^CMD \["node", "\/app\/dist\/src\/server\.js"\]$/m, 'the service is the first process, and gets the signals')
  t.notMatch(dockerfile, /^(USER|ENTRYPOINT)\b/m)
  for (const name of dockerfile.matchAll(/^(?:ENV| {4})\s*([A-Z_]+)=/gm)) {
    const [, setting = ''] = name
    t.ok(setting in Config.properties || ['PATH', 'NODE_ENV'].includes(setting), `${setting} is a setting`)
  }
  for (const secret of SECRET_SETTINGS) t.notMatch(dockerfile, new RegExp(`\\b${secret}\\b`))
})

t.test('what the build of the image copies is let through to it, and nothing else', async t => {
  const allowed = read('.dockerignore').split('\n').filter(line => line.startsWith('!')).map(line => line.slice(1))
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) => names.split(' '))
  t.same(allowed.filter(name => name !== 'deploy').sort(), copied.sort())
})

t.test('railway.json: one instance on a volume at /data, probed for life, with time to stop', async t => {
  const deploy = at(JSON.parse(read('railway.json')), 'deploy')
  t.match(deploy, {
    numReplicas: 1, requiredMountPath: '/data', overlapSeconds: 0, healthcheckPath: '/health/live', restartPolicyType: 'ON_FAILURE', sleepApplication: false
  })
  checkDrain(t, Config.properties.SHUTDOWN_GRACE_SECONDS.default, at(deploy, 'drainingSeconds'))
})

t.test('.railway/railway.ts says what railway.json says, and brings the volume', async t => {
  const text = read('.railway/railway.ts')
  const deploy: unknown = at(JSON.parse(read('railway.json')), 'deploy')
  for (const [name, value] of readVariables(deploy)) {
    // It is off unless set.
    if (name !== 'sleepApplication') t.match(text, new RegExp(`\\b${name}: ${JSON.stringify(value).replaceAll('"', "'")}(,|\\n)`), name)
  }
  t.match(text, /volumeMounts: \{ '\/data': data \}/)
  const variables = [...text.matchAll(/^ {6}([A-Z_]+): (.+?),?$/gm)].map(([, name = '', value = '']): [string, string] => [name, value.replaceAll("'", '')])
  t.ok(variables.length >= 3)
  checkVariables(t, new Map(variables), at(deploy, 'drainingSeconds'))
})

t.test('render.yaml: one instance with a disk at /data, probed for life, with time to stop', async t => {
  const service = at(parseYaml(read('render.yaml')), 'services', 0)
  t.match(service, {
    type: 'web', runtime: 'docker', dockerfilePath: './Dockerfile', numInstances: 1, disk: { mountPath: '/data' }, healthCheckPath: '/health/live'
  })
  const list: unknown = at(service, 'envVars')
  const variables = (Array.isArray(list) ? list : []).map((entry): [string, unknown] => [String(at(entry, 'key')), at(entry, 'value')])
  t.ok(variables.some(([name]) => name === 'API_KEY'))
  checkVariables(t, new Map(variables), at(service, 'maxShutdownDelaySeconds'))
  t.match(list, [{}, { key: 'API_KEY', generateValue: true }], 'nobody has to think of a key')
})

t.test('fly.toml: one machine that never sleeps with a volume at /data, probed for life, with time to stop', async t => {
  const file: unknown = parseToml(read('fly.toml'))
  t.match(file, {
    mounts: { destination: '/data' },
    deploy: { strategy: 'rolling' },
    http_service: { auto_stop_machines: 'off', min_machines_running: 1, force_https: true, checks: [{ method: 'GET', path: '/health/live' }] }
  })
  const env = readVariables(at(file, 'env'))
  t.equal(at(file, 'http_service', 'internal_port'), Number(env.get('PORT')))
  t.ok(['SIGTERM', 'SIGINT'].includes(String(at(file, 'kill_signal'))))
  checkVariables(t, env, at(file, 'kill_timeout'))
  t.ok(Number(at(file, 'kill_timeout')) <= 300)
  for (const [, names = ''] of read('fly.toml').matchAll(/fly secrets set (.*)$/gm)) {
    for (const [, name = ''] of names.matchAll(/([A-Z_]+)=/g)) t.ok(name in Config.properties, `${name} is a setting`)
  }
})

t.test('compose.yaml: an ordinary user without rights, nothing to write but the volume and /tmp, a key that must be given', async t => {
  const file: unknown = parseYaml(read('compose.yaml'))
  const service = at(file, 'services', 'holdline')
  t.match(service, {
    user: image.user, read_only: true, tmpfs: '/tmp', cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'], restart: 'unless-stopped', volumes: ['holdline:/data']
  })
  t.match(at(file, 'volumes'), { holdline: null })
  t.match(at(service, 'environment', 'API_KEY'), /^\$\{API_KEY:\?/)
  t.match(at(service, 'ports', 0), new RegExp(`^\\$\\{PUBLISH:-127\\.0\\.0\\.1:\\d+\\}:${String(at(service, 'environment', 'PORT'))}$`))
  t.equal(at(service, 'environment', 'SESSIONS_CSV_PATH'), image.path)
  t.match(at(service, 'environment', 'CONVERSATIONS_PATH'), /^\/data\//)
  const seconds = /^(\d+)s$/.exec(String(at(service, 'stop_grace_period')))?.[1]
  checkVariables(t, readVariables(at(service, 'environment')), Number(seconds))
})

t.test('what DEPLOY.md sets is a setting, and what it leads to is there', async t => {
  const text = read('DEPLOY.md')
  for (const [, name = ''] of text.matchAll(/(?<![$\w])([A-Z][A-Z_]{3,})=(?!yes)/g)) {
    t.ok(name in Config.properties || name === 'PUBLISH', `${name} is a setting`)
  }
  const readme = read('README.md')
  const anchors = new Set([...`${text}\n${readme}`.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase().replaceAll(/[^\w -]/g, '').replaceAll(' ', '-')))
  for (const [, anchor = ''] of text.matchAll(/\]\((?:README\.md)?#([^)]+)\)/g)) t.ok(anchors.has(anchor), `#${anchor} is a heading`)
  for (const name of ['.railway/railway.ts', 'railway.json', 'render.yaml', 'fly.toml', 'compose.yaml']) t.ok(text.includes(`\`${name}\``), name)
})

t.test('a file that leads nowhere has nothing at the end of a path', async t => {
  t.equal(at({ a: [{ b: 1 }] }, 'a', 0, 'b'), 1)
  t.equal(at({ a: null }, 'a', 'b'), undefined)
})
