import { READ_LUA } from './lua.ts'

/** Looked at in one script: others wait for a fraction of a millisecond. */
const VISITS = 1000

/** Arguments: cutoff, id. Answers the session, or nothing. */
export const FIND = `${READ_LUA}
return read_live(ARGV[2], tonumber(ARGV[1]))
`

/** Arguments: cutoff, user_id, platform or empty, how many to pass over, how many to look at. Answers sessions, and how many were looked at. */
export const FIND_BY_USER = `${READ_LUA}
local cutoff, user, platform, from, visits = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local places, found = SESSIONS .. 'user:' .. user, {}
local ids = redis.call('ZREVRANGE', places, from, from + visits - 1)
for _, id in ipairs(ids) do
  local row = read_row(id)
  if not row or row[2] ~= user then redis.call('ZREM', places, id)
  elseif (platform == '' or row[3] == platform) and is_live(id, row[6], cutoff) then found[#found + 1] = row end
end
return {found, #ids}
`

/** Arguments: cutoff, platform, user ids. Answers the session of the first of them that has one, or nothing. */
export const FIND_LATEST = `${READ_LUA}
for place = 3, #ARGV do
  local row = find_latest(ARGV[place], ARGV[2], tonumber(ARGV[1]))
  if row then return row end
end
`

/** Arguments: cutoff, thread ids. Answers those that a session refers to. */
export const FIND_THREADS = `${READ_LUA}
local used = {}
for place = 2, #ARGV do
  local thread = ARGV[place]
  for _, id in ipairs(redis.call('SMEMBERS', SESSIONS .. 'thread:' .. thread)) do
    local found = redis.call('HMGET', hash_of(id), 'thread_id', 'last_activity')
    if found[1] ~= thread then redis.call('SREM', SESSIONS .. 'thread:' .. thread, id)
    elseif is_live(id, found[2], tonumber(ARGV[1])) then
      used[#used + 1] = thread
      break
    end
  end
end
return used
`

/** Argument: cutoff. Answers, in turn, a platform, how many sessions it has, and how many of them with a question. */
export const COUNT = `${READ_LUA}
local counts, place_of = {}, {}
local function add (platform, all, pending)
  local place = place_of[platform]
  if not place then
    place = #counts + 1
    place_of[platform] = place
    counts[place], counts[place + 1], counts[place + 2] = platform, 0, 0
  end
  counts[place + 1] = counts[place + 1] + all
  counts[place + 2] = counts[place + 2] + pending
end
for _, platform in ipairs(redis.call('SMEMBERS', PLATFORMS)) do
  local all = redis.call('ZCOUNT', SESSIONS .. 'platform:' .. platform, ARGV[1], '+inf')
  if all > 0 then add(platform, all, redis.call('ZCOUNT', PENDING .. ':' .. platform, ARGV[1], '+inf')) end
end
for _, row in ipairs(held_beyond(tonumber(ARGV[1]))) do add(row[3], 1, row[7] == '' and 0 or 1) end
return counts
`

/** Argument: cutoff. Answers when the oldest question was asked, or nothing. */
export const FIND_OLDEST_QUESTION = `${READ_LUA}
for from = 0, ${VISITS - 1}, 20 do
  local places = redis.call('ZRANGE', ASKED, from, from + 19, 'WITHSCORES')
  for place = 1, #places, 2 do
    local last = redis.call('HGET', hash_of(places[place]), 'last_activity')
    if is_live(places[place], last, tonumber(ARGV[1])) then return places[place + 1] end
  end
  if #places < 40 then return nil end
end
`

/**
 * A part of a walk, longest silent first. Arguments: cutoff, the position to begin behind (time or empty, id), how many to find, platform or empty,
 * 1 or 0 for those with or without a question, or empty. Answers sessions, 1 if there are no more, and the position to go on behind.
 */
export const WALK = `${READ_LUA}
local cutoff, after_ms, after_id = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local most, platform, question = tonumber(ARGV[4]), ARGV[5], ARGV[6]
local found, gone = {}, {}

-- by bytes, as the sets are ordered: Lua compares by the locale of the server
local function is_before (a, b)
  for place = 1, math.min(#a, #b) do
    if a:byte(place) ~= b:byte(place) then return a:byte(place) < b:byte(place) end
  end
  return #a < #b
end

local function is_behind (a, last_ms, id)
  return not a or last_ms > a or (last_ms == a and is_before(after_id, id))
end

local places = platform == '' and ACTIVITY or SESSIONS .. 'platform:' .. platform
if question == '1' then places = platform == '' and PENDING or PENDING .. ':' .. platform end

local rank
if not after_ms or after_ms < cutoff then
  for _, row in ipairs(held_beyond(cutoff)) do
    local fits = (platform == '' or row[3] == platform) and (question == '' or (question == '1') == (row[7] ~= ''))
    if fits and is_behind(after_ms, tonumber(row[6]), row[1]) then found[#found + 1] = row end
  end
  table.sort(found, function (a, b)
    local a_ms, b_ms = tonumber(a[6]), tonumber(b[6])
    return a_ms < b_ms or (a_ms == b_ms and is_before(a[1], b[1]))
  end)
  while #found > most do table.remove(found) end
  rank = redis.call('ZCOUNT', places, '-inf', '(' .. ARGV[1])
else
  local low, high = redis.call('ZCOUNT', places, '-inf', '(' .. ARGV[2]), redis.call('ZCOUNT', places, '-inf', ARGV[2])
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(after_id, redis.call('ZRANGE', places, middle, middle)[1]) then high = middle else low = middle + 1 end
  end
  rank = low
end

local last_ms, last_id, is_end = ARGV[2], ARGV[3], 0
if #found > 0 then last_ms, last_id = found[#found][6], found[#found][1] end
local visits = 0
while #found < most and visits < ${VISITS} and is_end == 0 do
  local page = redis.call('ZRANGE', places, rank + visits, rank + visits + 99, 'WITHSCORES')
  if #page < 200 then is_end = 1 end
  for place = 1, #page, 2 do
    if #found == most then
      is_end = 0
      break
    end
    visits = visits + 1
    last_id, last_ms = page[place], page[place + 1]
    if question ~= '0' or not redis.call('ZSCORE', PENDING, last_id) then
      local row = read_row(last_id)
      if row then found[#found + 1] = row else gone[#gone + 1] = last_id end
    end
  end
end
for _, id in ipairs(gone) do drop_places(id) end
return {found, is_end, last_ms, last_id}
`
