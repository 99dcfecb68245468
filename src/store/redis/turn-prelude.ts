// What all scripts of a lane begin with: its state in Redis, who may be served next, and how a slot is granted. The arithmetic is
// that of the memory queue (memory/fair-queue.ts). turn-scripts.ts has the decisions.

/**
 * What all decisions begin with. A ticket (a call at the queue) is kept in \`t\` with its state: waiting, offered to its gate,
 * held, or expelled. \`w\` and \`s\` list those that wait and those that hold a slot, so that a count is a count of members.
 * ARGV: gate and epoch, run, latest time, whether the run was read just now, the prefix of channels, then what the decision needs.
 *
 * A lane of another run says "stale": the gate looks which run it is before it goes on. The scripts of a run that has just
 * begun grant nothing, since other gates have yet to say what they hold.
 */
export const lanePrelude = `
local V, T, W, S, F, Q, B, N, C, U, G = unpack(KEYS)
local call = redis.call
local gate, run = ARGV[1], ARGV[2]
local at = call('TIME')
local now = at[1] * 1000 + math.floor(at[2] / 1000)
if tonumber(ARGV[3]) < now then return {'late'} end
local figures = call('HMGET', V, 'run', 'virtual', 'last', 'turns', 'tokens', 'ms')
local known = figures[1]
if known ~= run then
  if known and known > run or not known and ARGV[4] ~= '1' then return {'stale'} end
  call('DEL', unpack(KEYS))
  call('HSET', V, 'run', run)
  figures = {}
end
local isYoung = now - tonumber(string.sub(run, 1, 15)) < 2000

local virtual, last = tonumber(figures[2] or 0), tonumber(figures[3] or 0)
local turns, tokens, ms = tonumber(figures[4] or 0), tonumber(figures[5] or 0), tonumber(figures[6] or 0)
local before = {virtual, last, turns, tokens, ms}
local waits = call('ZCARD', W)
local granted, expelled = {}, {}

local function gateOf(id) return string.match(id, '^(.*)%.') end
local function notify(id) call('PUBLISH', ARGV[5] .. string.match(id, '^[^#]*'), V .. '\\0' .. id) end

local function ticketOf(id)
  local packed = call('HGET', T, id)
  return packed and cmsgpack.unpack(packed)
end
local function keep(id, ticket) call('HSET', T, id, cmsgpack.pack(ticket)) end

local function memberOf(id, ticket)
  return ticket.account .. '\\0' .. ticket.behind .. '\\0' .. string.format('%016d', ticket.seq) .. '\\0' .. id
end
local function idOf(member) return string.match(member, '([^%z]*)$') end
local function bounds(account, behind)
  return '[' .. account .. '\\0' .. behind .. '\\0', '(' .. account .. '\\0' .. behind .. '\\1'
end

-- Clocks are read once, and written at the end.
local clocks, moved = {}, {}
local function servedOf(account)
  if clocks[account] == nil then clocks[account] = tonumber(call('HGET', F, account) or nil) or false end
  return clocks[account] or virtual
end
local function setServed(account, served)
  clocks[account], moved[account] = served, true
  if waits > 0 then
    call('ZADD', Q, 'XX', served, account)
    call('ZADD', B, 'XX', served, account)
  end
end
local function writeClocks()
  for account in pairs(moved) do call('HSET', F, account, clocks[account]) end
  moved = {}
end

local function nextSeq()
  last = math.max(at[1] * 1000000 + at[2], last + 1)
  return last
end

local function wait(id, ticket)
  local account = ticket.account
  if not call('ZSCORE', N, account) then setServed(account, math.max(servedOf(account), virtual)) end
  ticket.state = 'waiting'
  ticket.server = nil
  waits = waits + call('ZADD', W, 0, memberOf(id, ticket))
  call('ZINCRBY', N, 1, account)
  call('HINCRBY', C, ticket.list, 1)
  call('ZADD', ticket.behind == 1 and B or Q, servedOf(account), account)
  keep(id, ticket)
end

local function unwait(id, ticket)
  local account = ticket.account
  waits = waits - call('ZREM', W, memberOf(id, ticket))
  if tonumber(call('ZINCRBY', N, -1, account)) <= 0 then call('ZREM', N, account) end
  if call('HINCRBY', C, ticket.list, -1) <= 0 then call('HDEL', C, ticket.list) end
  local from, to = bounds(account, ticket.behind)
  if #call('ZRANGEBYLEX', W, from, to, 'LIMIT', 0, 1) == 0 then
    call('ZREM', ticket.behind == 1 and B or Q, account)
  end
end

local busy, lists = {}, {}
local function busyOf(server)
  if not busy[server] then busy[server] = call('ZLEXCOUNT', S, '[' .. server .. '\\0', '(' .. server .. '\\1') end
  return busy[server]
end
-- Of servers and their slots, the first that has a free one.
local function freeIn(list)
  if isYoung then return nil end
  lists[list] = lists[list] or cjson.decode(list)
  local servers = lists[list]
  for i = 1, #servers, 2 do
    if busyOf(servers[i]) < servers[i + 1] then return servers[i] end
  end
end

local function hold(id, ticket, server)
  call('ZADD', S, 0, server .. '\\0' .. id)
  if busy[server] then busy[server] = busy[server] + 1 end
  ticket.server = server
end
local function free(id, ticket)
  call('ZREM', S, ticket.server .. '\\0' .. id)
  if busy[ticket.server] then busy[ticket.server] = busy[ticket.server] - 1 end
end

-- Its gate has something to hear. \`keep\` comes after it.
local function tell(id, ticket)
  ticket.told = 1
  call('ZADD', U, now, id)
end
local function untell(id, ticket)
  if ticket.told then call('ZREM', U, id) end
end

local function grant(id, ticket, server)
  local account = ticket.account
  local served = servedOf(account)
  virtual = math.max(virtual, served)
  setServed(account, served + ticket.cost / ticket.weight)
  hold(id, ticket, server)
  if gateOf(id) == gate then
    ticket.state = 'held'
    granted[#granted + 1] = id
    granted[#granted + 1] = server
  else
    ticket.state = 'offered'
    notify(id)
  end
  keep(id, ticket)
end

-- Of those whose list of servers is open: not behind before behind, then the account that was served least, then the earliest.
local function best(open, isAll)
  for _, queue in ipairs({Q, B}) do
    local behind = queue == B and 1 or 0
    local from, found, foundSeq, lowest = 0, nil, nil, nil
    while true do
      local accounts = call('ZRANGE', queue, from, from + 31, 'WITHSCORES')
      for i = 1, #accounts, 2 do
        if lowest and accounts[i + 1] ~= lowest then return found end
        local low, high = bounds(accounts[i], behind)
        local offset = 0
        while true do
          local members = call('ZRANGEBYLEX', W, low, high, 'LIMIT', offset, isAll and 1 or 16)
          local hit
          for _, member in ipairs(members) do
            local id = idOf(member)
            local ticket = ticketOf(id)
            if open[ticket.list] then hit = id
              if not foundSeq or ticket.seq < foundSeq then found, foundSeq, lowest = id, ticket.seq, accounts[i + 1] end
              break
            end
          end
          if hit or isAll or #members < 16 then break end
          offset = offset + 16
        end
      end
      if #accounts < 64 then break end
      from = from + 32
    end
    if found then return found end
  end
end

-- Serves tickets that wait while there are free slots that they may have.
local function fill()
  while waits > 0 do
    local open, isAll, isAny = {}, true, false
    for _, list in ipairs(call('HKEYS', C)) do
      open[list] = freeIn(list)
      if open[list] then isAny = true else isAll = false end
    end
    local id = isAny and best(open, isAll)
    if not id then return end
    local ticket = ticketOf(id)
    unwait(id, ticket)
    tell(id, ticket)
    grant(id, ticket, open[ticket.list])
  end
end

-- Removes a ticket, whatever its state; its estimate is taken back from the clock of its account.
local function remove(id, ticket)
  if ticket.state == 'waiting' then unwait(id, ticket)
  elseif ticket.state ~= 'expelled' then
    free(id, ticket)
    setServed(ticket.account, servedOf(ticket.account) - ticket.cost / ticket.weight)
  end
  call('HDEL', T, id)
  untell(id, ticket)
end

local function dropGate(name)
  call('ZREM', G, name)
  for _, id in ipairs(call('HKEYS', T)) do
    if gateOf(id) == name then remove(id, ticketOf(id)) end
  end
end

-- With equal costs accounts take turns, so each other account is served at most this place's rank times before it.
local function placer()
  local counts, sums, sum = {}, {}, 0
  local all = call('ZRANGE', N, 0, -1, 'WITHSCORES')
  for i = 2, #all, 2 do
    counts[i / 2] = tonumber(all[i])
    sum = sum + counts[i / 2]
    sums[i / 2] = sum
  end
  return function(id, ticket)
    local from, to = '[' .. ticket.account .. '\\0', '(' .. memberOf(id, ticket)
    local ahead = call('ZLEXCOUNT', W, from, to)
    local rank = ahead + 1
    local low, high = 0, #counts
    while low < high do
      local middle = math.ceil((low + high) / 2)
      if counts[middle] <= rank then low = middle else high = middle - 1 end
    end
    local before = (sums[low] or 0) + (#counts - low) * rank
    return ahead + 1 + before - math.min(tonumber(call('ZSCORE', N, ticket.account) or 0), rank)
  end
end

local isKnown = 1 - call('ZADD', G, now, gate)
local function lengthen()
  for i = 2, #KEYS do call('PEXPIRE', KEYS[i], 60000) end
  -- What tells a lane that was long idle from one that was lost.
  call('PEXPIRE', V, 3600000)
end

local function done(what, ...)
  writeClocks()
  if virtual ~= before[1] or last ~= before[2] or turns ~= before[3] or tokens ~= before[4] or ms ~= before[5] then
    call('HSET', V, 'virtual', virtual, 'last', last, 'turns', turns, 'tokens', tokens, 'ms', ms)
  end
  if isKnown == 0 then lengthen() end
  local leftMs = turns > 0 and string.format('%.17g', ms / turns) or ''
  local accounts = waits > 0 and call('ZCARD', N) or 0
  return {what, isKnown, call('ZCARD', S), waits, accounts, leftMs, granted, expelled, ...}
end
`;
