import t from 'tap'
import type { Session } from '../../src/sessions/session.ts'
import { inferPlatform, isOwnedBy, normaliseUserId } from '../../src/sessions/user-id.ts'

t.test('a user id is normalised once, whatever it is called by', async t => {
  t.equal(normaliseUserId('5', 'telegram'), 'telegram_5')
  t.equal(normaliseUserId('telegram_5', 'telegram'), 'telegram_5')
  t.equal(normaliseUserId('telegram_5', 'api'), 'api_telegram_5')
  t.equal(inferPlatform('discord_1'), 'discord')
  t.equal(inferPlatform('discord'), 'api')
})

t.test('a session belongs to the literal id and to the one normalised on its platform, and to nobody else', async t => {
  const session: Session = {
    sessionId: 's', userId: 'slack_U1', platform: 'slack', threadId: 't', createdAtMs: 0, lastActivityMs: 0, pendingApproval: null, metadata: {}, extra: {}
  }
  t.ok(isOwnedBy(session, 'slack_U1'))
  t.ok(isOwnedBy(session, 'U1'))
  t.ok(isOwnedBy(session, 'U1', 'slack'))
  t.notOk(isOwnedBy(session, 'U2'))
  t.notOk(isOwnedBy(session, 'U1', 'api'))
  t.notOk(isOwnedBy(session, 'slack_U1', 'discord'))
  t.ok(isOwnedBy({ ...session, userId: 'bare' }, 'bare'), 'as a loaded file may hold it')
})
