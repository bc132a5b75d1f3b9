import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { PostgresPool } from '../../src/postgres/pool.ts'
import { PostgresServer } from '../fixtures/postgres.ts'
import { makeLog } from '../fixtures/sessions.ts'

/** A certificate of nobody's but our own. */
function makeCertificate (t: Test): { cert: string, key: string } {
  const dir = mkdtempSync(join(tmpdir(), 'holdline-tls-'))
  t.after(() => { rmSync(dir, { recursive: true }) })
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]
  const words = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=elsewhere', '-keyout', key, '-out', cert]
  const { status } = spawnSync('openssl', words, { stdio: 'ignore' })
  t.equal(status, 0, 'openssl makes a certificate')
  chmodSync(dir, 0o755)
  // The server takes no key that others may read, and is not started as root.
  chmodSync(key, 0o600)
  if (statSync(key).uid === 0) chownSync(key, Number(spawnSync('id', ['-u', 'postgres']).stdout.toString()), 0)
  return { cert, key }
}

t.test('the address says how TLS is used, as it does to the tools of Postgres', async t => {
  const server = await PostgresServer.start(t, ['fsync=off'])
  const { cert, key } = makeCertificate(t)
  const url = await server.createDatabase()
  const admin = new PostgresPool({ url, max: 1, log: makeLog() })
  t.after(() => admin.close())
  for (const [name, value] of [['ssl_cert_file', cert], ['ssl_key_file', key], ['ssl', 'on']]) await admin.query(`ALTER SYSTEM SET ${name} = '${value}'`)
  await server.stop()
  await server.start()
  const isEncrypted = async (query: string): Promise<unknown> => {
    const pool = new PostgresPool({ url: url + query, max: 1, log: makeLog() })
    t.after(() => pool.close())
    await pool.open()
    return (await pool.query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'))[0]?.ssl
  }
  t.equal(await isEncrypted(''), false)
  t.equal(await isEncrypted('?sslmode=disable'), false)
  for (const query of ['?sslmode=require', '?sslmode=no-verify', `?sslmode=verify-ca&sslrootcert=${cert}`]) t.equal(await isEncrypted(query), true, query)
  for (const query of ['?sslmode=verify-full', `?sslmode=verify-full&sslrootcert=${cert}`]) {
    await t.rejects(isEncrypted(query), { code: 'STORE_UNREACHABLE', message: /its TLS certificate cannot be verified/ }, query)
  }
})
