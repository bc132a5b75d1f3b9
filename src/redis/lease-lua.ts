/**
 * What the scripts of Redis know of turns. A turn that waits or runs has a ticket: a place in the list `{holdline}:turns:<session_id>`, and the hash
 * `{holdline}:lease:<lease>`, which expires by itself. The lease is good exactly as long as that key is there, and the session's turn is that of the
 * first ticket whose key is there.
 *
 * *Promise.* A script sees one point in time: what it checks first still holds at its last command.
 */

/** Lua: `is_held(session_id)`, whether a turn of the session runs, or waits to. To stand at the top of a script. */
export const HELD_LUA = `
local function is_held (session_id)
  for _, lease in ipairs(redis.call('LRANGE', '{holdline}:turns:' .. session_id, 0, -1)) do
    if redis.call('EXISTS', '{holdline}:lease:' .. lease) == 1 then return true end
  end
  return false
end
`

/**
 * Lua: `check_lease(lease)`, the error that a script is to return where the lease under which it writes is gone; nil where it is good, and for an
 * empty one, that of a write outside of turns. To stand at the top of a script, and to be asked before its first write:
 *
 *     local lost = check_lease(ARGV[1])
 *     if lost then return lost end
 */
export const LEASE_CHECK_LUA = `
local function check_lease (lease)
  if lease == '' or redis.call('EXISTS', '{holdline}:lease:' .. lease) == 1 then return nil end
  return redis.error_reply('HL001 The turn was taken over')
end
`
