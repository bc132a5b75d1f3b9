import { REQUEST_ID } from '../src/openapi/errors.ts'

/** The ids in the examples; whoever sends one as it stands puts ids of their own in their place. */
export const IDS = {
  session: '32724857-3ff0-4fb4-806b-822f29f459ef',
  approval: '02caef47-c661-475c-a173-d65c9d51eac0',
  thread: '8b162916-12bc-4ea1-9959-dde65f7b0e93',
  message: '2f954ec1-061d-465a-9c5f-e3f7b136d182',
  event: 'bd681e6e-e017-4643-a140-7cdb67fb9f66:4',
  cursor: 'WzE3OTU3MDg4Mzc3NjIsIjMyNzI0ODU3LTNmZjAtNGZiNC04MDZiLTgyMmYyOWY0NTllZiJd',
  request: REQUEST_ID
} as const

const TOOL_CALL = 'call_f926e97f-736d-4e75-b3b6-4118d8a8b9f8'
const AT = '2026-11-26T16:00:37.552Z'

const person = { user_id: 'test_123' }

/** Bodies of `POST /api/chat`. */
export const CHAT_REQUESTS = {
  first_message: { summary: 'A first message', value: { ...person, message: 'Hello' } },
  with_metadata: {
    summary: 'From a bot that knows more: whose message it is, and by which id the platform knows it',
    value: { user_id: 'telegram_12345', message: 'Hello', metadata: { user_profile: { name: 'Ann' }, message_id: '42' } }
  },
  on_a_platform: { summary: 'On a platform that is named', value: { user_id: 'U024BE7LH', platform: 'slack', message: 'Hello' } },
  continue_a_session: { summary: 'In exactly this session', value: { ...person, session_id: IDS.session, message: 'what did I say first?' } },
  needs_approval: { summary: 'Something that needs a yes (the built-in agent saves a note)', value: { ...person, message: 'note: buy milk' } },
  decide_in_words: { summary: 'A yes, to exactly this question', value: { ...person, message: 'yes', approval_id: IDS.approval } },
  reject_in_words: { summary: 'A no, with the reason', value: { ...person, message: 'reject: we have some' } },
  start_afresh: { summary: 'The end of the session, and a fresh one', value: { ...person, message: '/new' } }
}

const session = { ...person, session_id: IDS.session }

/** Bodies of `POST /api/approve`. */
export const APPROVE_REQUESTS = {
  approve: { summary: 'Yes', value: { ...session, approved: true } },
  approve_this_question: { summary: 'Yes, to exactly this question', value: { ...session, approved: true, approval_id: IDS.approval } },
  edit: { summary: 'Yes, with other arguments', value: { ...session, approved: true, edited_args: { text: 'buy oat milk' } } },
  reject: { summary: 'No, with the reason for the agent', value: { ...session, approved: false, message: 'We have some' } },
  decisions: { summary: 'One decision for each action', value: { ...session, decisions: [{ type: 'edit', args: { text: 'buy oat milk' } }] } },
  resume: { summary: 'In the agent\'s own form', value: { ...session, resume: { decisions: [{ type: 'approve' }] } } }
}

const owner = { user_id: 'api_test_123', session_id: IDS.session, platform: 'api' }

const question = {
  type: 'approval_request',
  approval_id: IDS.approval,
  tool_name: 'save_note',
  tool_call_id: TOOL_CALL,
  args: { text: 'buy milk' },
  description: 'Save the note "buy milk"',
  allowed_decisions: ['approve', 'edit', 'reject'],
  requested_at: AT
}

const completed = {
  ...owner,
  message: 'Saved the note: buy milk',
  status: 'completed',
  requires_approval: false,
  approval_data: null,
  metadata: { model: 'openai:gpt-5-mini', usage: { input_tokens: 214, output_tokens: 12, total_tokens: 226 }, duration_ms: 1240 }
}

const waiting = {
  ...owner,
  message: 'I need your approval:\nSave the note "buy milk"\n\nAnswer "yes" or "no"; "reject: <reason>" says why.',
  status: 'waiting_approval',
  requires_approval: true,
  approval_data: question,
  metadata: { model: 'openai:gpt-5-mini', duration_ms: 840 }
}

/** Answers of chat and approve. */
export const TURN_ANSWERS = {
  completed: { summary: 'The agent answers', value: completed },
  waiting_approval: { summary: 'The agent asks before it acts', value: waiting }
}

function formatEvent (index: number, name: string, data: object): string {
  return `id: bd681e6e-e017-4643-a140-7cdb67fb9f66:${index}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}

/** The same as event streams. */
export const TURN_STREAMS = {
  completed: {
    summary: 'The agent uses a tool, then answers',
    value: [
      formatEvent(1, 'session', owner),
      formatEvent(2, 'tool_call', { id: TOOL_CALL, name: 'list_notes', args: {} }),
      formatEvent(3, 'tool_result', { id: TOOL_CALL, name: 'list_notes', content: '1. buy milk' }),
      formatEvent(4, 'token', { text: 'You want ' }),
      formatEvent(5, 'token', { text: 'to buy milk.' }),
      formatEvent(6, 'message', { ...completed, message: 'You want to buy milk.' })
    ].join('')
  }
}

/** A session that waits for an answer. */
export const WAITING_SESSION = {
  ...owner,
  thread_id: IDS.thread,
  created_at: '2026-11-26T15:58:02.104Z',
  last_activity: AT,
  has_pending_approval: true,
  pending_approval: question,
  metadata: { user_profile: { name: 'Ann' } }
}

/** What was said in it. */
export const MESSAGES = [
  { id: IDS.message, role: 'user', content: 'note: buy milk' },
  { id: '7a4f8c1e-52b0-4a7e-8a43-0f5c1d7be921', role: 'assistant', content: '', tool_calls: [{ id: TOOL_CALL, name: 'save_note', args: { text: 'buy milk' } }] },
  { id: 'c1b7f0a2-9a55-4be5-a2f4-1f7d4f0a6f11', role: 'tool', content: 'Saved the note: buy milk', tool_call_id: TOOL_CALL },
  { id: 'e6fd3dc0-7a0e-4a0d-9d6f-3a6ad7f6be20', role: 'assistant', content: 'Saved the note: buy milk' }
]

const health = {
  status: 'healthy',
  timestamp: AT,
  active_sessions: 12,
  uptime_seconds: 86400,
  version: '0.1.0',
  store: { type: 'csv', can_save: true },
  agent: { type: 'built-in', model: 'offline', can_save: true, reachable: true }
}

const reason = 'the disk is full'

/** Answers of the health routes, by status. */
export const HEALTH_ANSWERS = {
  200: { healthy: { summary: 'All is well', value: health } },
  503: { degraded: { summary: 'Sessions cannot be saved', value: { ...health, status: 'degraded', reason, store: { type: 'csv', can_save: false } } } }
}
