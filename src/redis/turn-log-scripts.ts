import { EVENTS_CHANNEL } from './turn-scripts.ts'

/** For how long it is known that somebody follows a turn; they look again before that. */
const FOLLOWED_MS = 5_000

/**
 * Lua: where the events of a turn are. `{holdline}:turn-events:<turn>` is the list of those that follow each other from 1 on, so that the place of
 * each is its position, with the last one of all behind them; `{holdline}:turn-log:<turn>` says whose they are, and how much there is.
 */
const LOG_LUA = `
local function log_of (turn) return '{holdline}:turn-log:' .. turn end
local function events_of (turn) return '{holdline}:turn-events:' .. turn end
local function followed (turn) return '{holdline}:turn-followed:' .. turn end
local function turns_of (session) return '{holdline}:turn-logs:' .. session end
`

/**
 * Adds events, save those that are there. Arguments: turn, session, person, platform, client, lease, keep_ms, max_bytes, bytes of an event beside its
 * text; then of each event its position, 1 if it is the last one of the turn, its text.
 */
export const APPEND_EVENTS = `${LOG_LUA}
local turn, session, keep_ms, max_bytes, event_bytes = ARGV[1], ARGV[2], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local kept = redis.call('HMGET', log_of(turn), 'count', 'bytes', 'is_ended')
local count, bytes, is_ended = tonumber(kept[1] or 0), tonumber(kept[2] or 0), kept[3]
if not kept[1] then
  for _, other in ipairs(redis.call('SMEMBERS', turns_of(session))) do
    if redis.call('EXISTS', log_of(other)) == 0 then redis.call('SREM', turns_of(session), other) end
  end
end
for i = 10, #ARGV, 3 do
  local position, is_last, text = tonumber(ARGV[i]), ARGV[i + 1] == '1', ARGV[i + 2]
  local is_next = position == count + 1 and bytes + #text + event_bytes <= max_bytes
  if not is_ended and position > count and (is_next or is_last) then
    redis.call('RPUSH', events_of(turn), text)
    bytes = bytes + #text + event_bytes
    if is_last then is_ended = '1' else count = position end
  end
end
redis.call('HSET', log_of(turn), 'session', session, 'user', ARGV[3], 'platform', ARGV[4], 'client', ARGV[5], 'lease', ARGV[6], 'count', count, 'bytes', bytes)
if is_ended then redis.call('HSET', log_of(turn), 'is_ended', '1') end
redis.call('SADD', turns_of(session), turn)
for _, key in ipairs({log_of(turn), events_of(turn), turns_of(session)}) do redis.call('PEXPIRE', key, keep_ms) end
if redis.call('EXISTS', followed(turn)) == 1 then redis.call('PUBLISH', '${EVENTS_CHANNEL}', 'events:' .. turn) end
`

/**
 * Reads what follows on a position, and whose it is; says that somebody follows, and keeps the events of a turn that runs for as long as that.
 * Arguments: turn, position, keep_ms. Nothing if the turn is not known.
 */
export const READ_EVENTS = `${LOG_LUA}
local turn = ARGV[1]
local found = redis.call('HMGET', log_of(turn), 'session', 'user', 'platform', 'client', 'lease')
if not found[1] then return nil end
redis.call('SET', followed(turn), '1', 'PX', ${FOLLOWED_MS})
local is_running = redis.call('EXISTS', '{holdline}:lease:' .. found[5])
if is_running == 1 then
  for _, key in ipairs({log_of(turn), events_of(turn), turns_of(found[1])}) do redis.call('PEXPIRE', key, ARGV[3]) end
end
-- the last one of all may stand before its place
local first = math.min(tonumber(ARGV[2]), redis.call('LLEN', events_of(turn)) - 1)
return {found[1], found[2], found[3], found[4], is_running, redis.call('LRANGE', events_of(turn), math.max(first, 0), -1)}
`

/** Lets go of all turns of sessions. Arguments: the sessions. */
export const FORGET_EVENTS = `${LOG_LUA}
for _, session in ipairs(ARGV) do
  for _, turn in ipairs(redis.call('SMEMBERS', turns_of(session))) do
    redis.call('DEL', log_of(turn), events_of(turn), followed(turn))
  end
  redis.call('DEL', turns_of(session))
end
`
