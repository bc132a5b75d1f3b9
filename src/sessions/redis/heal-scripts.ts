import { PLACE_LUA, READ_LUA } from './lua.ts'

/** Looked at in one script: others wait for a fraction of a millisecond. */
const VISITS = 1000

/** Keys of all kinds that one script goes past: where all of them are sessions, with a dozen commands each, others wait for some milliseconds. */
const KEYS = 1000

/** Drops the places of sessions whose hashes are gone. Argument: how many to pass over. Answers how many to pass over next; 0 at the end. */
export const DROP = `${READ_LUA}
local ids, gone = redis.call('ZRANGE', ACTIVITY, ARGV[1], ARGV[1] + ${VISITS - 1}), 0
for _, id in ipairs(ids) do
  if redis.call('EXISTS', hash_of(id)) == 0 then
    drop_places(id)
    gone = gone + 1
  end
end
return {#ids < ${VISITS} and 0 or ARGV[1] + #ids - gone, gone}
`

/**
 * Puts sessions back into the places that something else took away: a server that may evict takes whole indexes. A session that was written when
 * sessions lived for a shorter time is kept for as long as they live now. Arguments: time to live, where in the keys to go on. Answers where to go
 * on next, 0 at the end, and how many sessions had lost a place.
 */
export const RESTORE = `${READ_LUA}${PLACE_LUA}
local function is_placed (id, user, platform, thread, last, pending)
  for _, places in ipairs({ACTIVITY, SESSIONS .. 'platform:' .. platform, SESSIONS .. 'user:' .. user}) do
    if tonumber(redis.call('ZSCORE', places, id) or '') ~= tonumber(last) then return false end
  end
  for _, places in ipairs({PENDING, PENDING .. ':' .. platform, ASKED}) do
    if (redis.call('ZSCORE', places, id) and pending == '') or (pending ~= '' and not redis.call('ZSCORE', places, id)) then return false end
  end
  return redis.call('SISMEMBER', SESSIONS .. 'thread:' .. thread, id) == 1 and redis.call('SISMEMBER', PLATFORMS, platform) == 1
end

local page, lost = redis.call('SCAN', ARGV[2], 'MATCH', hash_of('*'), 'COUNT', ${KEYS}), 0
for _, hash in ipairs(page[2]) do
  local id = string.sub(hash, #hash_of('') + 1)
  local user, platform, thread, last, pending, asked =
    unpack(redis.call('HMGET', hash, 'user_id', 'platform', 'thread_id', 'last_activity', 'pending_approval', 'asked_at'))
  if user and platform and thread and tonumber(last or '') and pending then
    local ends_at = string.format('%.0f', last + ARGV[1])
    redis.call('PEXPIREAT', hash, ends_at, 'GT')
    if not is_placed(id, user, platform, thread, last, pending) then
      lost = lost + 1
      place_row(id, user, platform, thread, last, pending, asked)
    end
    for _, places in ipairs({SESSIONS .. 'user:' .. user, SESSIONS .. 'thread:' .. thread}) do
      redis.call('PEXPIREAT', places, ends_at, 'GT')
      -- made a moment ago, maybe of a session that has long been silent
      redis.call('PEXPIRE', places, ARGV[1], 'NX')
    end
  end
end
return {page[1], lost}
`
