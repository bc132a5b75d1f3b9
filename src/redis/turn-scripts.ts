/** Where everything that replicas tell each other goes through; a message is the topic that there is news of. */
export const EVENTS_CHANNEL = '{holdline}:events'

/** For how long it is known that a turn ended because somebody asked for it: whoever asked looks at once. */
const OUTCOME_MS = 60_000

/**
 * Lua: what the scripts below have in common. A queue lives on for longer than its tickets do, whatever their times to live: if it were gone before
 * them, two turns could be first.
 */
const QUEUE_LUA = `
local function turns_of (session) return '{holdline}:turns:' .. session end
local function key_of (lease) return '{holdline}:lease:' .. lease end
local function is_alive (lease) return redis.call('EXISTS', key_of(lease)) == 1 end

local function keep (session, lease, ttl_ms)
  redis.call('PEXPIRE', key_of(lease), ttl_ms)
  if redis.call('PTTL', turns_of(session)) < ttl_ms * 2 then redis.call('PEXPIRE', turns_of(session), ttl_ms * 2) end
end

local function find_first (session)
  while true do
    local lease = redis.call('LINDEX', turns_of(session), 0)
    if not lease or is_alive(lease) then return lease end
    redis.call('LPOP', turns_of(session))
  end
end

-- rises with each ticket, also where the server forgot the last one: what is written elsewhere, such as in Postgres, is checked by it
local function next_fence ()
  local time = redis.call('TIME')
  local fence = math.max(time[1] * 1000000 + time[2], (tonumber(redis.call('GET', '{holdline}:fence')) or 0) + 1)
  local text = string.format('%.0f', fence)
  redis.call('SET', '{holdline}:fence', text)
  return text
end

local function tell (topic) redis.call('PUBLISH', '${EVENTS_CHANNEL}', topic) end

local function find_place (session, lease)
  local first = find_first(session)
  -- somebody took the queue away: the place in it is gone
  if not first then return {-1, 0, 0, {}} end
  if first ~= lease then return {0, redis.call('PTTL', key_of(first)), 0, {}} end
  return {1, 0, redis.call('HEXISTS', key_of(lease), 'cancel'), redis.call('HGETALL', '{holdline}:session:' .. session)}
end
`

/**
 * Joins the queue of a session, unless it is full, or the ticket has joined already: a command whose answer was lost is sent again.
 * Arguments: session, lease, owner, ttl_ms, max_waiting or empty. Answers its place as `TurnPlace` does.
 */
export const ENTER_TURN = `${QUEUE_LUA}
local session, lease, owner, ttl_ms, max_waiting = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
if not is_alive(lease) then
  local ahead = 0
  for _, other in ipairs(redis.call('LRANGE', turns_of(session), 0, -1)) do
    if is_alive(other) then ahead = ahead + 1 else redis.call('LREM', turns_of(session), 1, other) end
  end
  if max_waiting and ahead > max_waiting then return {-1, 0, 0, {}} end
  redis.call('HSET', key_of(lease), 'session', session, 'owner', owner, 'fence', next_fence())
  redis.call('RPUSH', turns_of(session), lease)
  redis.call('SADD', '{holdline}:held', session)
end
keep(session, lease, ttl_ms)
return find_place(session, lease)
`

/** Looks whether a ticket is the first one by now. Arguments: session, lease. */
export const ADVANCE_TURN = `${QUEUE_LUA}
if not is_alive(ARGV[2]) then return {-1, 0, 0, {}} end
return find_place(ARGV[1], ARGV[2])
`

/**
 * Takes a ticket out, tells who is next, and, where the turn was asked to end, whoever asked.
 * Arguments: session, lease, 1 if it ended because it was asked to.
 */
export const RELEASE_TURN = `${QUEUE_LUA}
local session, lease = ARGV[1], ARGV[2]
-- also where it has ended already, and nobody has noticed
local was_first = redis.call('LINDEX', turns_of(session), 0) == lease or find_first(session) == lease
local was_asked = redis.call('HEXISTS', key_of(lease), 'cancel') == 1
redis.call('LREM', turns_of(session), 1, lease)
redis.call('DEL', key_of(lease))
if redis.call('EXISTS', turns_of(session)) == 0 then redis.call('SREM', '{holdline}:held', session) end
if was_asked then
  if ARGV[3] == '1' then redis.call('SET', '{holdline}:outcome:' .. lease, 'cancelled', 'PX', ${OUTCOME_MS}) end
  tell('outcome:' .. lease)
end
local next = was_first and find_first(session)
if next then tell('lease:' .. next) end
`

/** Renews tickets. Arguments: ttl_ms, leases. Answers the server's time in µs, and of each lease: 0 gone, 1 good, 2 good and asked to end. */
export const RENEW_TURNS = `${QUEUE_LUA}
local time, states = redis.call('TIME'), {}
for i = 2, #ARGV do
  local found = redis.call('HMGET', key_of(ARGV[i]), 'session', 'cancel')
  if found[1] then
    keep(found[1], ARGV[i], tonumber(ARGV[1]))
    states[i - 1] = found[2] and 2 or 1
  else
    states[i - 1] = 0
  end
end
return {time[1] * 1000000 + time[2], states}
`

/** Asks the turn of a session to end, unless it is the asker's own. Arguments: session, owner. Answers its lease, and for how many ms it is good. */
export const INTERRUPT_TURN = `${QUEUE_LUA}
local first = find_first(ARGV[1])
if not first or redis.call('HGET', key_of(first), 'owner') == ARGV[2] then return {'', 0} end
redis.call('HSET', key_of(first), 'cancel', '1')
tell('lease:' .. first)
return {first, redis.call('PTTL', key_of(first))}
`

/**
 * Looks how a turn ended that was asked to. Argument: its lease. Answers 1 and 1 if it ended by that, 1 and 0 if not; while it runs, 0 and for how
 * many ms the lease is good.
 */
export const FIND_OUTCOME = `${QUEUE_LUA}
if redis.call('EXISTS', '{holdline}:outcome:' .. ARGV[1]) == 1 then return {1, 1} end
if not is_alive(ARGV[1]) then return {1, 0} end
return {0, redis.call('PTTL', key_of(ARGV[1]))}
`
