/**
 * Lua: `prune(up_to, is_resting)`, to stand behind what the scripts of threads have in common. It removes what nothing needs any more of what has a
 * number up to `up_to`. In every namespace the newest checkpoint stays, with its writes and all its
 * items; only of a resting thread the namespaces of subgraph runs go, which have a colon. A newest one that is complete only with its parents keeps
 * them all. All is found before anything is removed: a thread that cannot be pruned is left as it is.
 */
export const PRUNE_LUA = `
local function add_lost (doomed, kept, lost)
  local needed = {}
  for _, row in ipairs(kept) do needed[#needed + 1] = lists_of(row.seq) end
  local found = false
  for _, row in ipairs(doomed) do
    for channel, refs in pairs(lists_of(row.seq)) do
      -- Conversations grow at their end: then all of it is in a later one.
      local is_covered = false
      for _, lists in ipairs(needed) do
        if lists[channel] and lists[channel]:sub(1, #refs) == refs then is_covered = true end
      end
      for at = 1, is_covered and 0 or #refs, REF do
        lost[refs:sub(at, at + REF - 1)] = true
        found = true
      end
    end
  end
  if not found then return end
  for _, lists in ipairs(needed) do
    for _, refs in pairs(lists) do
      for at = 1, #refs, REF do lost[refs:sub(at, at + REF - 1)] = nil end
    end
  end
end

local function find_superfluous (up_to, is_resting)
  local rows = redis.call('ZREVRANGE', order, 0, -1, 'WITHSCORES')
  local newest, doomed, kept, lost, places, lost_writes = {}, {}, {}, {}, {}, {}
  for at = 1, #rows, 2 do
    local row = { place = rows[at], seq = rows[at + 1] }
    local is_doomed = false
    if tonumber(row.seq) <= up_to then
      local namespace = parse_place(row.place)
      local first = newest[namespace]
      is_doomed = (is_resting and namespace:find(':', 1, true) ~= nil) or first == 'whole'
      if not first then newest[namespace] = redis.call('HEXISTS', thread, 'd' .. row.seq) == 1 and 'open' or 'whole' end
    end
    if is_doomed then
      doomed[#doomed + 1] = row
      places[row.place] = true
    else
      kept[#kept + 1] = row
    end
  end
  if #doomed == 0 then return doomed, lost, lost_writes end
  add_lost(doomed, kept, lost)
  for _, name in ipairs(redis.call('HKEYS', writes)) do
    local length, start = name:match('^(%d+):()')
    if places[name:sub(start, start + length - 1)] then lost_writes[#lost_writes + 1] = name end
  end
  return doomed, lost, lost_writes
end

local function prune (up_to, is_resting)
  local is_found, doomed, lost, lost_writes = pcall(find_superfluous, up_to, is_resting)
  if not is_found then return end
  for _, row in ipairs(doomed) do
    redis.call('ZREM', order, row.place)
    local seq = row.seq
    redis.call('HDEL', thread, 'b' .. seq, 'm' .. seq, 'p' .. seq, 'l' .. seq, 'd' .. seq)
  end
  for ref in pairs(lost) do redis.call('HDEL', items, ref) end
  for _, name in ipairs(lost_writes) do redis.call('HDEL', writes, name) end
end
`
