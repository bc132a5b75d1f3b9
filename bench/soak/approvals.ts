import { Finding, type AnswerBody } from './client.ts'
import type { Person } from './person.ts'
import type { Scene, Stage } from './scene.ts'
import { APPROVAL_TIMEOUT_MS } from './settings.ts'
import { readStream } from './stream.ts'

/** Waits with a question; returns its id. */
async function ask (person: Person, note: string): Promise<string> {
  const { body } = await person.say({ text: `note: ${note}` })
  person.said.push(`note: ${note}`)
  person.expect(body, 'waiting_approval', note)
  return idOf(body)
}

function idOf ({ approval_data: data }: AnswerBody): string {
  if (data === null || data.tool_name !== 'save_note') throw new Finding('A question did not say what it is about')
  return data.approval_id
}

async function decideInWords ({ person, random }: Stage): Promise<void> {
  const note = person.words()
  const id = await ask(person, note)
  const again = await person.say({ text: 'What did you ask?' })
  if (idOf(again.body) !== id) throw new Finding('A question was repeated under another id')
  const words = random.pick(['yes', 'OK.', '/approve', 'no', 'reject: not today'])
  const isYes = /^(yes|ok|.approve)/i.test(words)
  const { body } = await person.say({ text: words })
  person.expect(body, 'completed', isYes ? `Saved the note: ${note}` : '')
  if (isYes) person.notes++
}

async function approve ({ person, random }: Stage): Promise<void> {
  const note = person.words()
  const id = await ask(person, note)
  const edited = person.words()
  const [decision, saved] = random.pick([
    [{ approved: true, approval_id: id }, note],
    [{ approved: true, edited_args: { text: edited } }, edited],
    [{ decisions: [{ type: 'edit', args: { text: edited } }] }, edited],
    [{ approved: false, message: 'not today' }, ''],
    [{ resume: { decisions: [{ type: 'approve' }] } }, note]
  ])
  const { body } = await person.decide(decision)
  person.expect(body, 'completed', saved === '' ? '' : `Saved the note: ${saved}`)
  if (saved !== '') person.notes++
}

/** Of two decisions at once, one counts. */
async function approveTwice ({ person }: Stage): Promise<void> {
  const id = await ask(person, person.words())
  const allowed = ['200', '409 APPROVAL_NOT_PENDING', '409 APPROVAL_SUPERSEDED']
  const answers = await Promise.all([true, true].map(async approved => await person.decide({ approved, approval_id: id }, allowed)))
  const count = answers.filter(({ status }) => status === 200).length
  if (count !== 1) throw new Finding(`${count} of two decisions about one question counted`)
  person.notes++
}

async function approveAloud ({ client, person }: Stage): Promise<void> {
  const note = person.words()
  const asked = await readStream(client, person.chat({ text: `note: ${note}` }))
  person.said.push(`note: ${note}`)
  person.expect(person.meetStream(asked), 'waiting_approval', note)
  const body = { user_id: person.userId, platform: person.platform, session_id: person.sessionId, approved: true }
  const answered = await readStream(client, { path: '/api/approve', body, allowed: ['200'] })
  person.expect(person.meetStream(answered), 'completed', `Saved the note: ${note}`)
  person.notes++
}

/** What does not fit leaves the question as it is. */
async function decideWrongly ({ person }: Stage): Promise<void> {
  const id = await ask(person, person.words())
  await person.decide({ approved: true, edited_args: { text: 7 } }, ['422 DECISION_REFUSED'])
  await person.decide({ decisions: [{ type: 'approve' }, { type: 'approve' }] }, ['422 DECISION_REFUSED'])
  await person.decide({ approved: true, approval_id: 'another' }, ['409 APPROVAL_SUPERSEDED'])
  await person.decide({ approved: true, resume: 'yes' }, ['400 REQUEST_INVALID'])
  const { body } = await person.decide({ approved: false, approval_id: id })
  person.expect(body, 'completed', '')
  await person.decide({ approved: true }, ['409 APPROVAL_NOT_PENDING'])
}

/** Lets a question wait for too long. */
async function answerTooLate ({ person, wait }: Stage): Promise<void> {
  await ask(person, person.words())
  await wait(APPROVAL_TIMEOUT_MS + 500)
  await person.decide({ approved: true }, ['409 APPROVAL_EXPIRED'])
  await person.tell(person.words())
}

/** Ends the conversation while the agent waits. */
async function leaveTheQuestion ({ person }: Stage): Promise<void> {
  await ask(person, person.words())
  await person.startAfresh()
  await person.tell(person.words())
}

/** Never answers: the question goes with the session. */
async function keepSilent ({ person }: Stage): Promise<void> {
  await ask(person, person.words())
}

/** What people do whom the agent asks. */
export const APPROVALS: ReadonlyArray<readonly [weight: number, scene: Scene]> = [
  [8, { name: 'decide in words', play: decideInWords }],
  [8, { name: 'approve, edit or reject', play: approve }],
  [3, { name: 'approve twice at once', play: approveTwice }],
  [3, { name: 'approve, streamed', play: approveAloud }],
  [4, { name: 'decide wrongly', play: decideWrongly }],
  [2, { name: 'leave the question', play: leaveTheQuestion }]
]

/** And those who come once. */
export const ONE_TIME_APPROVALS: ReadonlyArray<readonly [weight: number, scene: Scene]> = [
  [4, { name: 'answer too late', play: answerTooLate }],
  [16, { name: 'keep silent', play: keepSilent }]
]
