/**
 * Sessions, with the columns of the session file; `json`, unlike `jsonb`, keeps a text as it was written. `revision` rises with each change, and
 * `last_write` names the one that made it: whoever lost the connection in the middle of a change finds out whether it was made.
 */
export const SESSIONS = `
CREATE TABLE holdline.sessions (
  session_id text COLLATE "C" PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  platform text COLLATE "C" NOT NULL,
  thread_id text COLLATE "C" NOT NULL,
  created_at timestamptz(3) NOT NULL,
  last_activity timestamptz(3) NOT NULL,
  pending_approval json CHECK (json_typeof(pending_approval) = 'object'),
  metadata json NOT NULL DEFAULT '{}' CHECK (json_typeof(metadata) = 'object'),
  extra json NOT NULL DEFAULT '{}' CHECK (json_typeof(extra) = 'object'),
  asked_at timestamptz(3),
  revision integer NOT NULL DEFAULT 1,
  last_write uuid,
  CHECK ((asked_at IS NULL) = (pending_approval IS NULL))
);
CREATE INDEX sessions_by_user ON holdline.sessions (user_id, platform, last_activity DESC);
CREATE INDEX sessions_by_thread ON holdline.sessions (thread_id);
-- with what is counted, so that counting reads nothing else
CREATE INDEX sessions_by_activity ON holdline.sessions (last_activity, session_id) INCLUDE (platform, asked_at);
CREATE INDEX sessions_by_question ON holdline.sessions (asked_at) WHERE asked_at IS NOT NULL;
`
