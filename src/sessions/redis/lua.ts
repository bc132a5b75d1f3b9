import { HELD_LUA, LEASE_CHECK_LUA } from '../../redis/lease-lua.ts'
import { FIELDS } from './row.ts'

/*
 * How sessions lie in Redis. Of each session, the hash `{holdline}:session:<id>`. In sorted sets by the last activity, all of them,
 * `{holdline}:sessions:activity`, those of a platform, `…:platform:<platform>`, those with a question, `…:pending` and `…:pending:<platform>`, and
 * those of a person, `…:user:<user_id>`. By the time of the question, `…:asked`. In sets, the platforms that have sessions, `…:platforms`, and the
 * sessions of a thread, `…:thread:<thread_id>`.
 *
 * *Promise.* A script changes a session and its places in all of them in one step: they cannot drift apart. Where something else took a hash away
 * (its time to live, an operator), whatever meets its places drops them. Each change of a session writes all of its places anew, and `RESTORE` those
 * that something else took away.
 */

/** Lua: what reads of sessions have in common. `cutoff` is since when a session must have been active, unless its turn is held. */
export const READ_LUA = `
local SESSIONS = '{holdline}:sessions:'
local ACTIVITY = SESSIONS .. 'activity'
local PENDING = SESSIONS .. 'pending'
local ASKED = SESSIONS .. 'asked'
local PLATFORMS = SESSIONS .. 'platforms'
${HELD_LUA}
local function hash_of (id) return '{holdline}:session:' .. id end

local function read_row (id)
  local row = redis.call('HMGET', hash_of(id), '${FIELDS.join("', '")}')
  if not row[5] then return nil end
  table.insert(row, 1, id)
  return row
end

-- a hash that somebody else has written may have lost a field, or may hold anything
local function is_live (id, last_activity, cutoff)
  local last = tonumber(last_activity or '')
  return last and (last >= cutoff or is_held(id))
end

local function read_live (id, cutoff)
  local row = read_row(id)
  if row and is_live(id, row[6], cutoff) then return row end
end

local function drop_platform (platform, id)
  redis.call('ZREM', SESSIONS .. 'platform:' .. platform, id)
  redis.call('ZREM', PENDING .. ':' .. platform, id)
  if redis.call('EXISTS', SESSIONS .. 'platform:' .. platform) == 0 then redis.call('SREM', PLATFORMS, platform) end
end

-- the places of a session whose hash is gone; those by person and by thread are dropped where they are met, or expire
local function drop_places (id)
  redis.call('ZREM', ACTIVITY, id)
  redis.call('ZREM', PENDING, id)
  redis.call('ZREM', ASKED, id)
  for _, platform in ipairs(redis.call('SMEMBERS', PLATFORMS)) do drop_platform(platform, id) end
end

-- sessions whose turn is held although they have been silent too long: few
local function held_beyond (cutoff)
  local found = {}
  for _, id in ipairs(redis.call('SMEMBERS', '{holdline}:held')) do
    local last = tonumber(redis.call('HGET', hash_of(id), 'last_activity') or '')
    if not is_held(id) then redis.call('SREM', '{holdline}:held', id)
    elseif last and last < cutoff then found[#found + 1] = read_row(id) end
  end
  return found
end

-- the most recently active session of a person on a platform
local function find_latest (user, platform, cutoff)
  local places = SESSIONS .. 'user:' .. user
  for from = 0, 900, 100 do
    local ids = redis.call('ZREVRANGE', places, from, from + 99)
    for _, id in ipairs(ids) do
      local row = read_row(id)
      if not row or row[2] ~= user then redis.call('ZREM', places, id)
      elseif row[3] == platform and is_live(id, row[6], cutoff) then return row end
    end
    if #ids < 100 then return nil end
  end
end
`

/** Lua: what puts a session into its places. To stand behind `READ_LUA`. */
export const PLACE_LUA = `
local function place_row (id, user, platform, thread, last, pending, asked)
  redis.call('ZADD', ACTIVITY, last, id)
  redis.call('ZADD', SESSIONS .. 'platform:' .. platform, last, id)
  redis.call('SADD', PLATFORMS, platform)
  redis.call('ZADD', SESSIONS .. 'user:' .. user, last, id)
  redis.call('SADD', SESSIONS .. 'thread:' .. thread, id)
  if pending == '' then
    redis.call('ZREM', PENDING, id)
    redis.call('ZREM', PENDING .. ':' .. platform, id)
    redis.call('ZREM', ASKED, id)
  else
    redis.call('ZADD', PENDING, last, id)
    redis.call('ZADD', PENDING .. ':' .. platform, last, id)
    redis.call('ZADD', ASKED, tonumber(asked or '') and asked or last, id)
  end
end
`

/** Lua: what changes have in common. */
export const WRITE_LUA = `
${LEASE_CHECK_LUA}${READ_LUA}${PLACE_LUA}
local function remove_row (row)
  local id = row[1]
  redis.call('DEL', hash_of(id))
  redis.call('ZREM', ACTIVITY, id)
  redis.call('ZREM', PENDING, id)
  redis.call('ZREM', ASKED, id)
  drop_platform(row[3] or '', id)
  redis.call('ZREM', SESSIONS .. 'user:' .. (row[2] or ''), id)
  redis.call('SREM', SESSIONS .. 'thread:' .. (row[4] or ''), id)
end

-- whether this write was made before: its answer was lost, and it is sent again
local function was_written (id, write)
  return redis.call('HGET', hash_of(id), 'write') == write
end

-- the arguments from place at on: id, user_id, platform, thread_id, created_at, last_activity, pending_approval, metadata, extra, asked_at
local function write_row (at, ttl, write)
  local id, user, platform, thread, created, last, pending, metadata, extra, asked = unpack(ARGV, at, at + 9)
  local hash = hash_of(id)
  local old = redis.call('HMGET', hash, 'user_id', 'platform', 'thread_id')
  redis.call('HSET', hash, 'user_id', user, 'platform', platform, 'thread_id', thread, 'created_at', created, 'last_activity', last,
    'pending_approval', pending, 'metadata', metadata, 'extra', extra, 'asked_at', asked, 'write', write)
  redis.call('HINCRBY', hash, 'revision', 1)
  if old[1] and old[1] ~= user then redis.call('ZREM', SESSIONS .. 'user:' .. old[1], id) end
  if old[2] and old[2] ~= platform then drop_platform(old[2], id) end
  if old[3] and old[3] ~= thread then redis.call('SREM', SESSIONS .. 'thread:' .. old[3], id) end
  place_row(id, user, platform, thread, last, pending, asked)
  for _, key in ipairs({hash, SESSIONS .. 'user:' .. user, SESSIONS .. 'thread:' .. thread}) do redis.call('PEXPIRE', key, ttl) end
end
`
