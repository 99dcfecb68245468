// What all scripts of a lane have in common: its state in Redis, who may be served next, and how a slot is granted. The arithmetic is
// that of the memory queue (memory/fair-queue.ts). turn-scripts.ts has the decisions.
import { type Part, part } from './script.ts';

/**
 * What all decisions begin with. A ticket (a call at the queue) is kept in `t` with its state: waiting, offered to its gate,
 * held, or expelled. `w` and `s` list those that wait and those that hold a slot, so that a count is a count of members.
 * Arguments: gate and epoch, run, latest time, whether the run was read just now, the prefix of channels, then what the decision needs.
 *
 * A lane of another run says "stale": the gate looks which run it is before it goes on. The scripts of a run that has just
 * begun grant nothing, since other gates have yet to say what they hold.
 */
const opening = `
local call = redis.call
local V, T, W, S, F, Q, B, N, C, U, G = unpack(KEYS, k + 1, k + 11)
local gate, run = ARGV[a + 1], ARGV[a + 2]
local now = at[1] * 1000 + math.floor(at[2] / 1000)
if tonumber(ARGV[a + 3]) < now then return {'late'} end
local kept = call('HMGET', V, 'run', 'figures')
if kept[1] ~= run then
  if kept[1] and kept[1] > run or not kept[1] and ARGV[a + 4] ~= '1' then return {'stale'} end
  call('DEL', V, T, W, S, F, Q, B, N, C, U, G)
  call('HSET', V, 'run', run)
  kept = {}
end
local isYoung = math.abs(now - tonumber(string.sub(run, 17, 31))) < 2000

local virtual, last, turns, tokens, ms = 0, 0, 0, 0, 0
if kept[2] then virtual, last, turns, tokens, ms = struct.unpack('ddddd', kept[2]) end
local waits, running = call('ZCARD', W), call('ZCARD', S)
local isKnown = 1 - call('ZADD', G, string.format('%d', now), gate)
local granted, expelled = {}, {}
local what, first, second, isClean
`;

/** Figures are kept as eight bytes each: as text they take a script longer than all that it does with them. */
const closing = `
local figures = struct.pack('ddddd', virtual, last, turns, tokens, ms)
if figures ~= kept[2] then call('HSET', V, 'figures', figures) end
if isKnown == 0 or isClean then
  for i = k + 2, k + 11 do call('PEXPIRE', KEYS[i], 60000) end
  -- What tells a lane that was long idle from one that was lost.
  call('PEXPIRE', V, 3600000)
end
local accounts = waits > 0 and call('ZCARD', N) or 0
return {what, isKnown, running, waits, accounts, turns > 0 and math.floor(ms / turns * 1000) or -1, granted, expelled, first, second}
`;

/** How a ticket is kept: cost, most, weight, number, behind, told, state, account, server, servers with slots. */
const ticketForm = 'ddddBBssss';
/** The same of one ticket as locals, and as kept from locals. */
export const unpackTicket = (text: string): string =>
  `local cost, most, weight, seq, behind, told, state, account, server, list = struct.unpack('${ticketForm}', ${text})`;
export const packTicket = `struct.pack('${ticketForm}', cost, most, weight, seq, behind, told, state, account, server, list)`;

/** The calls that hold a slot of a server. */
export const busyOn = (server: string): string =>
  `call('ZLEXCOUNT', S, '[' .. ${server} .. '\\0', '(' .. ${server} .. '\\1')`;

/** `served` becomes what an account was served. */
export const readClock = `
  local clock = call('HGET', F, account)
  local served = clock and struct.unpack('d', clock) or virtual`;
export const writeClock = `
  call('HSET', F, account, struct.pack('d', served))
  if waits > 0 then
    call('ZADD', Q, 'XX', served, account)
    call('ZADD', B, 'XX', served, account)
  end`;

/** What needs more than its own ticket. */
const functions = `
local function gateOf(id) return string.match(id, '^(.*)%.') end
local function notify(id) call('PUBLISH', ARGV[a + 5] .. string.match(id, '^[^#]*'), V .. '\\0' .. id) end

local function ticketOf(id)
  local kept = call('HGET', T, id)
  if not kept then return nil end
  ${unpackTicket('kept')}
  return {cost = cost, most = most, weight = weight, seq = seq, behind = behind, told = told, state = state, account = account,
    server = server, list = list}
end
local function keep(id, ticket)
  local cost, most, weight, seq, behind = ticket.cost, ticket.most, ticket.weight, ticket.seq, ticket.behind
  local told, state, account, server, list = ticket.told, ticket.state, ticket.account, ticket.server, ticket.list
  call('HSET', T, id, ${packTicket})
end

local function memberOf(id, ticket)
  return ticket.account .. '\\0' .. ticket.behind .. '\\0' .. string.format('%016d', ticket.seq) .. '\\0' .. id
end
local function idOf(member) return string.match(member, '([^%z]*)$') end
local function bounds(account, behind)
  return '[' .. account .. '\\0' .. behind .. '\\0', '(' .. account .. '\\0' .. behind .. '\\1'
end

-- Clocks are read once.
local clocks = {}
local function servedOf(account)
  if clocks[account] == nil then${readClock}
    clocks[account] = clock and served
  end
  return clocks[account] or virtual
end
local function setServed(account, served)
  clocks[account] = served${writeClock}
end

local function wait(id, ticket)
  local account = ticket.account
  if not call('ZSCORE', N, account) then setServed(account, math.max(servedOf(account), virtual)) end
  ticket.state = 'waiting'
  ticket.server = ''
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
  if not busy[server] then busy[server] = ${busyOn('server')} end
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
  running = running + call('ZADD', S, 0, server .. '\\0' .. id)
  if busy[server] then busy[server] = busy[server] + 1 end
  ticket.server = server
end
local function free(id, ticket)
  running = running - call('ZREM', S, ticket.server .. '\\0' .. id)
  if busy[ticket.server] then busy[ticket.server] = busy[ticket.server] - 1 end
end

-- Its gate has something to hear. \`keep\` comes after it.
local function tell(id, ticket)
  ticket.told = 1
  call('ZADD', U, now, id)
end
local function untell(id, ticket)
  if ticket.told == 1 then call('ZREM', U, id) end
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
`;

/**
 * A script that decides in two steps. `quick` does what needs no other ticket and sets `what`; what it leaves is decided by `rest`, with
 * the functions above, which are made only then: making them takes as long as a whole quick decision.
 */
export const decision = (quick: string, rest: string): Part =>
  part(`${opening}${quick}
if not what then
${functions}${rest}
end
${closing}`);
