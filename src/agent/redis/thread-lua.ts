import { LEASE_CHECK_LUA } from '../../redis/lease-lua.ts'
import { REF_LENGTH } from './item-ref.ts'
import { PRUNE_LUA } from './prune-lua.ts'

/**
 * How a thread lies in Redis. The place of a checkpoint is its namespace and its id in one text, `<bytes of the namespace>:<namespace><id>`.
 *
 * - `{holdline}:threads`, a sorted set: the ids of all threads, each with 0, so that they stand in the order of their bytes.
 * - `{holdline}:thread-seq`: the number that was given last. Numbers only rise, over all threads.
 * - `{holdline}:thread-order:<id>`, a sorted set: places by number. The newest checkpoint is the one with the largest.
 * - `{holdline}:thread:<id>`, a hash: by number, the body `b`, the details `m`, the parent `p`, the lists `l` of a checkpoint, and `d` for one that
 *   is complete only with its parents; when the thread was `written` to, in milliseconds.
 * - `{holdline}:thread-items:<id>`, a hash: what lists are made of, by content. All that a checkpoint refers to is there.
 * - `{holdline}:thread-writes:<id>`, a hash: the writes of tasks, by place, index and task. They may come before their checkpoint.
 */
const THREAD = `
${LEASE_CHECK_LUA}
local REF = ${REF_LENGTH}
local id = ARGV[2]
local thread, order = '{holdline}:thread:' .. id, '{holdline}:thread-order:' .. id
local items, writes = '{holdline}:thread-items:' .. id, '{holdline}:thread-writes:' .. id

local function place_of (namespace, checkpoint)
  return #namespace .. ':' .. namespace .. checkpoint
end

local function parse_place (place)
  local length, start = place:match('^(%d+):()')
  return place:sub(start, start + length - 1), place:sub(start + length)
end

local function newest_in (namespace)
  for _, place in ipairs(redis.call('ZREVRANGE', order, 0, -1)) do
    if (parse_place(place)) == namespace then return place end
  end
end

local function lists_of (seq)
  local packed = redis.call('HGET', thread, 'l' .. seq)
  local flat, lists = packed and cmsgpack.unpack(packed) or {}, {}
  for at = 1, #flat, 2 do lists[flat[at]] = flat[at + 1] end
  return lists, flat
end

local function write_prefix (place)
  return #place .. ':' .. place
end

local function touch (now)
  redis.call('HSET', thread, 'written', now)
  redis.call('ZADD', '{holdline}:threads', 0, id)
end
`

/**
 * ARGV: lease, thread, now, namespace, id, parent or nothing, 1 if it is complete only with its parents, body, details, the number up to which to
 * prune or nothing, 1 if the thread rests, how many lists; then each list's channel and references; then references and items.
 *
 * Returns the number of the checkpoint and nothing; or 0, having written nothing, and the references of the items that are not there.
 */
export const PUT = `${THREAD}${PRUNE_LUA}
local lost = check_lease(ARGV[1])
if lost then return lost end
local namespace, checkpoint = ARGV[4], ARGV[5]

local flat, at = {}, 13
for _ = 1, 2 * ARGV[12] do
  flat[#flat + 1] = ARGV[at]
  at = at + 1
end
local given = {}
for ref = at, #ARGV, 2 do given[ARGV[ref]] = ARGV[ref + 1] end

local before = newest_in(namespace)
local is_read, known = pcall(lists_of, before and redis.call('ZSCORE', order, before) or '')
if not is_read then known = {} end
local missing = {}
for list = 1, #flat, 2 do
  local refs, there = flat[list + 1], known[flat[list]] or ''
  for ref_at = refs:sub(1, #there) == there and #there + 1 or 1, #refs, REF do
    local ref = refs:sub(ref_at, ref_at + REF - 1)
    if not given[ref] and redis.call('HEXISTS', items, ref) == 0 then missing[#missing + 1] = ref end
  end
end
if #missing > 0 then return { 0, missing } end

-- One that is put again keeps its number.
local place = place_of(namespace, checkpoint)
local seq = redis.call('ZSCORE', order, place)
if not seq then
  seq = string.format('%.0f', redis.call('INCR', '{holdline}:thread-seq'))
  redis.call('ZADD', order, seq, place)
end
redis.call('HSET', thread, 'b' .. seq, ARGV[8], 'm' .. seq, ARGV[9], 'p' .. seq, ARGV[6], 'l' .. seq, cmsgpack.pack(flat))
if ARGV[7] == '1' then redis.call('HSET', thread, 'd' .. seq, '') else redis.call('HDEL', thread, 'd' .. seq) end
for ref, value in pairs(given) do redis.call('HSET', items, ref, value) end
touch(ARGV[3])
if ARGV[10] ~= '' then prune(tonumber(ARGV[10]), ARGV[11] == '1') end
return { tonumber(seq), {} }
`

/** ARGV: lease, thread, now, namespace, id, task, path of the task, 1 to replace what is there; then each write's index, channel, type and value. */
export const PUT_WRITES = `${THREAD}
local lost = check_lease(ARGV[1])
if lost then return lost end
local prefix = write_prefix(place_of(ARGV[4], ARGV[5]))
for at = 9, #ARGV, 4 do
  local name = prefix .. ARGV[at] .. ':' .. ARGV[6]
  local value = cmsgpack.pack({ ARGV[7], ARGV[6], ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3] })
  redis.call(ARGV[8] == '1' and 'HSET' or 'HSETNX', writes, name, value)
end
touch(ARGV[3])
`

/**
 * ARGV: nothing, thread, namespace, id or nothing for the newest, a channel.
 *
 * Returns nothing if there is none; else its id, parent or nothing, body, details, its lists as channels and references in turn, its writes, and
 * those of its parent to the channel; each as path, task, index, channel, type and value.
 */
export const READ = `${THREAD}
local function writes_of (place, channel)
  local prefix, found = write_prefix(place), {}
  for _, name in ipairs(redis.call('HKEYS', writes)) do
    if name:sub(1, #prefix) == prefix then
      local write = cmsgpack.unpack(redis.call('HGET', writes, name))
      if channel == nil or write[4] == channel then found[#found + 1] = write end
    end
  end
  return found
end

local namespace = ARGV[3]
local place = ARGV[4] == '' and newest_in(namespace) or place_of(namespace, ARGV[4])
local seq = place and redis.call('ZSCORE', order, place)
if not seq then return false end
local _, checkpoint = parse_place(place)
local _, lists = lists_of(seq)
local found = redis.call('HMGET', thread, 'p' .. seq, 'b' .. seq, 'm' .. seq)
local parent = found[1] or ''
local sent = parent == '' and {} or writes_of(place_of(namespace, parent), ARGV[5])
return { checkpoint, parent, found[2], found[3], lists, writes_of(place), sent }
`

/** ARGV: nothing, thread; then references. Returns what they refer to, each in its place. */
export const READ_ITEMS = `${THREAD}
local found = {}
for at = 3, #ARGV do found[#found + 1] = redis.call('HGET', items, ARGV[at]) end
return found
`

/** ARGV: nothing, thread. Returns number, namespace and id of each checkpoint, newest first. */
export const READ_ORDER = `${THREAD}
local rows, found = redis.call('ZREVRANGE', order, 0, -1, 'WITHSCORES'), {}
for at = 1, #rows, 2 do
  local namespace, checkpoint = parse_place(rows[at])
  found[#found + 1] = { tonumber(rows[at + 1]), namespace, checkpoint }
end
return found
`

/** ARGV: lease, thread. */
export const DELETE = `${THREAD}
local lost = check_lease(ARGV[1])
if lost then return lost end
redis.call('UNLINK', thread, order, items, writes)
redis.call('ZREM', '{holdline}:threads', id)
`

/** ARGV: the thread after which to begin, how many at most; fewer than none is all. Returns each one's id, and when it was written to. */
export const LIST = `
local from = ARGV[1] == '' and '-' or '(' .. ARGV[1]
local found = {}
for _, id in ipairs(redis.call('ZRANGE', '{holdline}:threads', from, '+', 'BYLEX', 'LIMIT', 0, ARGV[2])) do
  found[#found + 1] = { id, redis.call('HGET', '{holdline}:thread:' .. id, 'written') or '0' }
end
return found
`
