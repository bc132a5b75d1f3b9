/** What replicas tell each other; a crash of the server may lose it. */
export const REPLICAS = `
CREATE UNLOGGED TABLE holdline.request_counts (
  key text COLLATE "C" PRIMARY KEY,
  count integer NOT NULL,
  ends_at timestamptz NOT NULL
);
CREATE INDEX request_counts_by_end ON holdline.request_counts (ends_at);

CREATE UNLOGGED TABLE holdline.leads (
  task text COLLATE "C" PRIMARY KEY,
  owner uuid NOT NULL,
  until timestamptz NOT NULL
);

CREATE UNLOGGED TABLE holdline.turn_events (
  turn_id uuid NOT NULL,
  first_position integer NOT NULL,
  last_position integer NOT NULL,
  session_id text COLLATE "C" NOT NULL,
  user_id text NOT NULL,
  platform text NOT NULL,
  client_id text NOT NULL,
  lease uuid NOT NULL,
  events text NOT NULL,
  written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (turn_id, first_position)
);
CREATE INDEX turn_events_by_session ON holdline.turn_events (session_id);
CREATE INDEX turn_events_by_time ON holdline.turn_events (written_at);
`
