/** Whence sessions are being moved here, for as long as that is not done: no service starts meanwhile. */
export const MOVES = `
CREATE TABLE holdline.moves (
  source text PRIMARY KEY,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
`
