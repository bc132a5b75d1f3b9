import t from 'tap'
import { leaveRoot, type Identity } from '../src/run-as.ts'

/** A process of root's with groups of its own, which does as it is told and notes it. */
function makeRoot (told: string[], more: Identity = {}): Identity {
  const ids = { uid: 0, gid: 0, groups: [0, 4] }
  return {
    getuid: () => ids.uid,
    geteuid: () => ids.uid,
    getgid: () => ids.gid,
    getegid: () => ids.gid,
    getgroups: () => ids.groups,
    setgroups (groups) {
      told.push(`setgroups ${groups.join()}`)
      ids.groups = [...groups]
    },
    setgid (gid) {
      told.push(`setgid ${gid}`)
      ids.gid = gid
    },
    setuid (uid) {
      if (ids.uid !== 0) throw new Error('EPERM, Operation not permitted')
      told.push(`setuid ${uid}`)
      ids.uid = uid
    },
    ...more
  }
}

function leave (identity: Identity, runAs: string | undefined = '1000:1001', told: string[] = []) {
  return leaveRoot({ runAs, paths: ['/data/sessions.csv', '/data/c.sqlite'] }, identity, (paths, { uid, gid }) => {
    told.push(`give ${paths.join()} to ${uid}:${gid}`)
  })
}

t.test('root gives the files away first, then its groups, its group, and last of all itself', async t => {
  const told: string[] = []
  t.same(leave(makeRoot(told), '1000:1001', told), { uid: 1000, gid: 1001 })
  t.same(told, ['give /data/sessions.csv,/data/c.sqlite to 1000:1001', 'setgroups ', 'setgid 1001', 'setuid 1000'])
})

t.test('nobody but root is changed, and root only when told', async t => {
  const told: string[] = []
  t.equal(leaveRoot({ runAs: undefined, paths: [] }, makeRoot(told), () => { told.push('give') }), undefined)
  t.equal(leave(makeRoot(told, { geteuid: () => 500 }), '1000:1001', told), undefined)
  t.equal(leave({}, '1000:1001', told), undefined, 'a system without users')
  t.same(told, [])
})

t.test('what the process may not do ends the start, with the way out', async t => {
  const refuse = () => { throw new Error('EPERM, Operation not permitted') }
  for (const more of [{ setgroups: refuse }, { setgid: refuse }, { setuid: refuse }]) {
    t.throws(() => leave(makeRoot([], more)), { code: 'SETTING_INVALID', message: /^RUN_AS=1000:1001 cannot be followed \(EPERM.*start the process as that user.*SETGID and SETUID$/ })
  }
})

t.test('a process that could be root again does not go on', async t => {
  const cases: Identity[] = [
    { setuid: () => {} },
    { getuid: () => 0 },
    { getgid: () => 0 },
    { getgroups: () => [1001, 0] }
  ]
  for (const more of cases) t.throws(() => leave(makeRoot([], more)), { code: 'SETTING_INVALID', message: /could be root again/ })
  let isFirst = true
  t.throws(() => leave(makeRoot([], {
    setuid: () => { isFirst = false },
    getuid: () => isFirst ? 0 : 1000,
    geteuid: () => isFirst ? 0 : 1000
  })), { message: /could be root again/ }, 'the saved user is still root')
})
