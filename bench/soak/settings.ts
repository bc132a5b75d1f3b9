/** How much faster than ours the clock of the service runs: what it keeps for ten minutes is gone after ten seconds. */
export const CLOCK_SPEED = 60

/** A minute of the service, by our clock. */
const MINUTE_MS = 60_000 / CLOCK_SPEED

/** After so long a session has ended, by our clock. */
export const SESSION_TIMEOUT_MS = 30 * MINUTE_MS

/** After so long a question has expired, by our clock. */
export const APPROVAL_TIMEOUT_MS = 10 * MINUTE_MS

/** Messages that may wait for their turn. */
export const MAX_QUEUED_TURNS = 8

export const API_KEY = 'soak-5f0c2b8e4d7a49c3a1f6e08b93d27c54'

/** What the service is started with. Timers run by the real clock, whatever the service takes the time of day for. */
export const SETTINGS: Readonly<Record<string, string>> = {
  PORT: '0',
  API_KEY,
  SESSION_TIMEOUT_MINUTES: String(SESSION_TIMEOUT_MS / MINUTE_MS),
  APPROVAL_TIMEOUT_MINUTES: String(APPROVAL_TIMEOUT_MS / MINUTE_MS),
  // Every three seconds, by the real clock.
  CLEANUP_INTERVAL_MINUTES: '0.05',
  AGENT_TIMEOUT_SECONDS: '50',
  MAX_QUEUED_TURNS: String(MAX_QUEUED_TURNS),
  // How often somebody may ask is by the service's clock, too, and not what is looked at here.
  RATE_LIMIT_MAX: '0',
  RATE_LIMIT_KEY_MAX: '0',
  SOAK_CLOCK_SPEED: String(CLOCK_SPEED)
}
