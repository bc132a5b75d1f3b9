import { WRITE_LUA } from './lua.ts'

/** Every change begins with the lease under which it is made, or an empty one. */
const BEGIN = `${WRITE_LUA}
local lost = check_lease(ARGV[1])
if lost then return lost end
`

/*
 * The writes of rows have a name each, by which one that is sent again is known. A row is: id, user_id, platform, thread_id, created_at,
 * last_activity, pending_approval, metadata, extra, asked_at.
 */

/** Arguments: lease, name, time to live, a row. Answers 1, or 0 if the id is taken. */
export const ADD = `${BEGIN}
if redis.call('EXISTS', hash_of(ARGV[4])) == 1 then return was_written(ARGV[4], ARGV[2]) and 1 or 0 end
write_row(4, ARGV[3], ARGV[2])
return 1
`

/**
 * Arguments: lease, name, time to live, cutoff, a row. Answers the latest session of its person and platform; 1 if it added the row, 0 if its id is
 * taken.
 */
export const CONTINUE_OR_ADD = `${BEGIN}
if was_written(ARGV[5], ARGV[2]) then return 1 end
local latest = find_latest(ARGV[6], ARGV[7], tonumber(ARGV[4]))
if latest then return latest end
if redis.call('EXISTS', hash_of(ARGV[5])) == 1 then return 0 end
write_row(5, ARGV[3], ARGV[2])
return 1
`

/** Arguments: lease, name, time to live, cutoff, revision, a row. Answers 1; the session if its revision is another one; 0 if there is none. */
export const REPLACE = `${BEGIN}
local found = redis.call('HMGET', hash_of(ARGV[6]), 'last_activity', 'revision', 'write')
if found[3] == ARGV[2] then return 1 end
if not is_live(ARGV[6], found[1], tonumber(ARGV[4])) then return 0 end
if found[2] ~= ARGV[5] then return read_row(ARGV[6]) end
write_row(6, ARGV[3], ARGV[2])
return 1
`

/** Arguments: lease, cutoff, id. Answers the session that was there, or nothing. */
export const REMOVE = `${BEGIN}
local row = read_live(ARGV[3], tonumber(ARGV[2]))
if row then remove_row(row) end
return row
`

/** Removes the longest silent first, save those whose turn is held. Arguments: an empty lease, cutoff, how many. Answers the sessions. */
export const REMOVE_SILENT = `${BEGIN}
local most, removed, held = tonumber(ARGV[3]), {}, 0
while #removed < most do
  local ids = redis.call('ZRANGEBYSCORE', ACTIVITY, '-inf', '(' .. ARGV[2], 'LIMIT', held, most)
  for _, id in ipairs(ids) do
    if is_held(id) then held = held + 1
    elseif #removed < most then
      local row = read_row(id)
      if row then
        remove_row(row)
        removed[#removed + 1] = row
      else
        drop_places(id)
      end
    end
  end
  if #ids < most then break end
end
return removed
`

/** Arguments: an empty lease, the time, how many sessions. Answers how many were active at a time still to come: that is now. */
export const BRING_TO_NOW = `${BEGIN}
local ids = redis.call('ZRANGEBYSCORE', ACTIVITY, '(' .. ARGV[2], '+inf', 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do
  local row, hash = read_row(id), hash_of(id)
  if row and row[2] and row[3] and row[4] and row[7] then
    redis.call('HSET', hash, 'last_activity', ARGV[2])
    redis.call('HINCRBY', hash, 'revision', 1)
    place_row(id, row[2], row[3], row[4], ARGV[2], row[7], redis.call('HGET', hash, 'asked_at'))
  else
    drop_places(id)
  end
end
return #ids
`
