import { LEASE_CHECK_LUA } from '../../redis/lease-lua.ts'

/**
 * A batch of operations on notes, one after the other, in one step.
 *
 * - `{holdline}:note-spaces`, a sorted set: the namespaces that have notes, each with 0, so that they stand in the order of their bytes.
 * - `{holdline}:notes:<namespace>`, a hash: by key, when the note was made and when it was changed, in milliseconds, and its JSON.
 *
 * ARGV: lease, now; then of each operation its name and three more: `get` namespace and key, `put` namespace, key, JSON, `delete` namespace and key,
 * `search` the namespaces from one on and before another, both empty for all, `list` nothing. Returns what each found, in its place.
 */
export const NOTES = `
${LEASE_CHECK_LUA}
local lost = check_lease(ARGV[1])
if lost then return lost end
local now, spaces = ARGV[2], '{holdline}:note-spaces'

local function split (stored)
  return stored:match('^(%d+) (%d+) (.*)$')
end

local function row_of (namespace, key, stored)
  return { namespace, key, split(stored) }
end

local run = {}

function run.get (namespace, key)
  local stored = redis.call('HGET', '{holdline}:notes:' .. namespace, key)
  return stored and row_of(namespace, key, stored)
end

function run.put (namespace, key, value)
  local notes = '{holdline}:notes:' .. namespace
  local stored = redis.call('HGET', notes, key)
  redis.call('HSET', notes, key, (stored and split(stored) or now) .. ' ' .. now .. ' ' .. value)
  redis.call('ZADD', spaces, 0, namespace)
end

run['delete'] = function (namespace, key)
  local notes = '{holdline}:notes:' .. namespace
  redis.call('HDEL', notes, key)
  if redis.call('EXISTS', notes) == 0 then redis.call('ZREM', spaces, namespace) end
end

function run.search (from, before)
  local found = {}
  local min, max = from == '' and '-' or '[' .. from, before == '' and '+' or '(' .. before
  for _, namespace in ipairs(redis.call('ZRANGE', spaces, min, max, 'BYLEX')) do
    local notes = redis.call('HGETALL', '{holdline}:notes:' .. namespace)
    for at = 1, #notes, 2 do found[#found + 1] = row_of(namespace, notes[at], notes[at + 1]) end
  end
  return found
end

function run.list ()
  return redis.call('ZRANGE', spaces, 0, -1)
end

local results = {}
for at = 3, #ARGV, 4 do
  results[#results + 1] = run[ARGV[at]](ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]) or false
end
return results
`
