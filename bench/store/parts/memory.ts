import { runJob } from '../children.ts'
import { inRunFolder } from '../folder.ts'
import { formatNumber, printTable, type Aim, type Bench } from '../report.ts'
import { getSessionsPath, makeSessions, writeSessionsFile } from '../workload.ts'

/** What a session with empty metadata holds in memory, its row on disk not counted. */
export async function weighSessions ({ plan, dir }: Bench): Promise<Aim[]> {
  const { manySessions } = plan
  const empty = await inRunFolder(dir, runDir => runJob('memory', { dir: runDir, creates: 0 }))
  const created = await inRunFolder(dir, runDir => runJob('memory', { dir: runDir, creates: manySessions }))
  const loaded = await inRunFolder(dir, async runDir => {
    await writeSessionsFile(getSessionsPath(runDir), makeSessions(manySessions, {}))
    return await runJob('memory', { dir: runDir, creates: 0 })
  })
  const rows: string[][] = []
  const aims: Aim[] = []
  for (const [name, { bytes, sessions }] of [['created', created], ['loaded', loaded]] as const) {
    if (sessions !== manySessions) throw new Error(`Of ${manySessions} sessions ${sessions} were ${name}`)
    const each = (bytes - empty.bytes) / sessions
    rows.push([name, formatNumber((bytes - empty.bytes) / 1024 / 1024), formatNumber(each)])
    aims.push({ what: `E. memory of a session, ${name}`, value: each / 1024, unit: ' KiB', bound: { atMost: 1 } })
  }
  printTable(`E. Memory of ${formatNumber(manySessions)} sessions with empty metadata: heap and external`, ['', 'MiB', 'bytes a session'], rows)
  return aims
}
