// The decisions of the queue that several gates share, as scripts that Redis runs: one script, one decision. The state of a
// model's lane stands in the keys of one hash slot, so that a script sees all of it and a cluster takes it too.
import { script } from './script.ts';
import { busyOn, decision, packTicket, readClock, unpackTicket, writeClock } from './turn-prelude.ts';

/** A gate that has not been heard of for so long has lost its places and slots. */
export const lostMs = 4_000;

/** Of the keys of a lane, in the order in which the scripts name them. */
const laneKeys = ['v', 't', 'w', 's', 'f', 'q', 'b', 'n', 'c', 'u', 'g'];

/** `lanes`: what the lanes are for, such as models. The braces name the hash slot. */
export const keysOfLane = (lanes: string, model: string): readonly string[] => {
  const tag = `{${lanes}:${encodeURIComponent(model)}}:`;
  return laneKeys.map((name) => tag + name);
};

export const keysOfGates = (lanes: string): readonly string[] =>
  ['run', 'gates', 'lanes'].map((name) => `{${lanes}}:${name}`);

/** A gate hears of its tickets on the channel with its name behind this. */
export const channelPrefix = 'g:';

/** Members of these sets that were heard of in the future, because the clock was set back since, were heard of now. */
const notAhead = (sets: string): string => `
for _, set in ipairs(${sets}) do
  for _, each in ipairs(redis.call('ZRANGEBYSCORE', set, now + 1000, '+inf')) do redis.call('ZADD', set, now, each) end
end`;

/**
 * Says that a gate is there, and returns the run: a name that changes when Redis may have lost what the gates told it: it was
 * flushed or started again, another server took over, or it stood still for so long that gates would look lost. Runs are
 * ordered, the later one is greater, also if the clock was set back; the second number is when it began. ARGV: gate, run id of the server, something random, whether to return the lanes that gates
 * use, the digest of the living gates that this one knows, then the lanes that it uses. The living are named only if their digest is
 * another one: with hundreds of gates their names would be most of what Redis sends, and reading them most of what it does.
 */
export const hail = script(`
local at = redis.call('TIME')
local now = at[1] * 1000 + math.floor(at[2] / 1000)
local run = redis.call('HMGET', KEYS[1], 'name', 'server', 'members')
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
${notAhead('{KEYS[2], KEYS[3]}')}
local added = redis.call('ZADD', KEYS[2], now, ARGV[1])
local others = redis.call('ZCARD', KEYS[2]) - 1
local name, members = run[1], tonumber(run[3] or 0)
if not name or run[2] ~= ARGV[2] or (others > 0 and now - last[2] > 2500) then
  local order = math.max(now, name and tonumber(string.sub(name, 1, 15)) + 1 or 0)
  name = string.format('%015d-%015d-%s', order, now, ARGV[3])
  redis.call('HSET', KEYS[1], 'name', name, 'server', ARGV[2])
end
local lost = redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ${lostMs})
if added + lost > 0 then members = redis.call('HINCRBY', KEYS[1], 'members', 1) end
local lanes = {}
for i = 6, #ARGV do redis.call('ZADD', KEYS[3], now, ARGV[i]) end
if ARGV[4] == '1' then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 3000)
  lanes = redis.call('ZRANGE', KEYS[3], 0, -1)
end
-- Gates that say goodbye change only how many there are.
local digest = name .. ' ' .. members .. ' ' .. others - lost
return {now, name, lanes, digest, digest == ARGV[5] and {} or redis.call('ZRANGE', KEYS[2], 0, -1)}
`);

/** ARGV: ticket, account, cost, most, weight, behind, servers with slots, longest queue. */
export const enter = decision(
  `
local id, account, list = ARGV[a + 6], ARGV[a + 7], ARGV[a + 12]
local cost, most, weight, behind = tonumber(ARGV[a + 8]), tonumber(ARGV[a + 9]), tonumber(ARGV[a + 10]), tonumber(ARGV[a + 11])
last = math.max(at[1] * 1000000 + at[2], last + 1)
local seq, told, state = last, 0, 'held'
first = string.format('%d', seq)
if waits == 0 and not isYoung then
  local servers = cjson.decode(list)
  for i = 1, #servers, 2 do
    local server, slots = servers[i], servers[i + 1]
    -- With fewer calls on all servers, this one need not be counted.
    if running < slots or ${busyOn('server')} < slots then${readClock}
      virtual = math.max(virtual, served)
      served = virtual + cost / weight${writeClock}
      running = running + call('ZADD', S, '0', server .. '\\0' .. id)
      call('HSET', T, id, ${packTicket})
      what, second = 'slot', server
      break
    end
  end
end`,
  `
local ticket = {account = account, cost = cost, most = most, weight = weight, behind = behind, list = list, seq = seq, told = told}
local function lastOf(behind, beyond)
  local accounts = call('ZREVRANGE', N, 0, -1, 'WITHSCORES')
  for i = 1, #accounts, 2 do
    if tonumber(accounts[i + 1]) <= beyond then return nil end
    local from, to = bounds(accounts[i], behind)
    local members = call('ZREVRANGEBYLEX', W, to, from, 'LIMIT', 0, 1)
    if members[1] then return idOf(members[1]) end
  end
end
local function makeRoom()
  local worst = ticket.behind == 0 and lastOf(1, 0) or nil
  worst = worst or lastOf(ticket.behind, tonumber(call('ZSCORE', N, account) or 0) + 1)
  if not worst then return false end
  local other = ticketOf(worst)
  unwait(worst, other)
  if gateOf(worst) == gate then
    call('HDEL', T, worst)
    expelled[#expelled + 1] = worst
  else
    other.state = 'expelled'
    tell(worst, other)
    keep(worst, other)
    notify(worst)
  end
  return true
end

if waits >= tonumber(ARGV[a + 13]) and not makeRoom() then what = 'full'
else
  wait(id, ticket)
  what, second = 'place', placer()(id, ticket)
  fill()
end`,
);

/** ARGV: ticket. */
export const leave = decision(
  '',
  `
local ticket = ticketOf(ARGV[a + 6])
if ticket then remove(ARGV[a + 6], ticket) end
fill()
what = 'left'`,
);

/**
 * ARGV: for each ticket: ticket, cost or nothing, how long it was held or nothing, whether the cost was reported. Of a lost slot, it
 * changes nothing.
 */
export const release = decision(
  `
for i = a + 6, a + n, 4 do
  local id, used, heldMs = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local kept = call('HGET', T, id)
  if kept then
    ${unpackTicket('kept')}
    if state == 'held' or state == 'offered' then
      running = running - call('ZREM', S, server .. '\\0' .. id)
      call('HDEL', T, id)
      if told == 1 then call('ZREM', U, id) end
      if used then
        local settled = used
        if heldMs and ARGV[i + 3] == '1' then
          turns = turns * 0.9 + 1
          tokens = tokens * 0.9 + used
          ms = ms * 0.9 + math.max(1, heldMs)
        elseif heldMs then
          local pace = ms > 0 and tokens / ms or 0.02
          settled = math.max(used, math.min(most, heldMs * pace))
        end
        if settled ~= cost then${readClock}
          served = served + (settled - cost) / weight${writeClock}
        end
      end
    end
  end
end
if waits == 0 then what = 'released' end`,
  `
fill()
what = 'released'`,
);

/** Puts a ticket that waits on one of these servers, if one has a free slot. ARGV: ticket, servers with slots. */
export const elsewhere = decision(
  '',
  `
local id = ARGV[a + 6]
local ticket = ticketOf(id)
local server = ticket and ticket.state == 'waiting' and freeIn(ARGV[a + 7])
if server then
  unwait(id, ticket)
  tell(id, ticket)
  grant(id, ticket, server)
end
what = 'went'`,
);

/** What the gate was told of its tickets: they are held from now on, or were expelled. */
const collect = `
local function collect(id)
  local ticket = ticketOf(id)
  if not ticket or gateOf(id) ~= gate then return end
  if ticket.state == 'expelled' then expelled[#expelled + 1] = id
  elseif ticket.state ~= 'waiting' then
    if ticket.state == 'offered' then
      ticket.state = 'held'
      keep(id, ticket)
    end
    granted[#granted + 1] = id
    granted[#granted + 1] = ticket.server
  end
end
`;

/** ARGV: the tickets of which the gate has heard. */
export const confirm = decision(
  '',
  `${collect}
for i = a + 6, a + n do collect(ARGV[i]) end
what = 'confirmed'`,
);

/**
 * Looks after a lane: drops gates that are lost, takes back offers that no gate took within three seconds, forgets clocks that say nothing any more, and
 * tells the gate what it may have missed. ARGV: how many tickets the gate has heard of, and which; then, for each ticket that
 * it looks at, the ticket, behind, weight, and servers with slots.
 */
export const sweep = decision(
  '',
  `${collect}
${notAhead('{G, U}')}
local oldest = call('ZRANGE', G, 0, 0, 'WITHSCORES')
while tonumber(oldest[2]) < now - ${lostMs} do
  dropGate(oldest[1])
  oldest = call('ZRANGE', G, 0, 0, 'WITHSCORES')
end
local heard = tonumber(ARGV[a + 6])
for i = a + 7, a + 6 + heard do
  local ticket = ticketOf(ARGV[i])
  call('ZREM', U, ARGV[i])
  if ticket and ticket.state == 'expelled' then call('HDEL', T, ARGV[i]) end
end
local looked = {}
for i = a + 7 + heard, a + n, 4 do
  local id, behind = ARGV[i], tonumber(ARGV[i + 1])
  looked[#looked + 1] = id
  local ticket = ticketOf(id)
  if ticket and ticket.state == 'waiting' and
      (ticket.behind ~= behind or ticket.weight ~= tonumber(ARGV[i + 2]) or ticket.list ~= ARGV[i + 3]) then
    unwait(id, ticket)
    ticket.behind, ticket.weight, ticket.list = behind, tonumber(ARGV[i + 2]), ARGV[i + 3]
    wait(id, ticket)
  end
end
for _, id in ipairs(call('ZRANGEBYSCORE', U, '-inf', now - 3000)) do
  local ticket = ticketOf(id)
  if not ticket then call('ZREM', U, id)
  elseif ticket.state == 'offered' and gateOf(id) ~= gate then
    remove(id, ticket)
    wait(id, ticket)
  end
end
fill()
granted = {}
for _, id in ipairs(call('ZRANGE', U, 0, -1)) do collect(id) end
local servers, counts, accounts = {}, {}, {}
for _, member in ipairs(call('ZRANGE', S, 0, -1)) do
  local server, id = string.match(member, '^([^%z]*)%z(.*)$')
  if gateOf(id) ~= gate then
    if not counts[server] then servers[#servers + 1] = server end
    counts[server] = (counts[server] or 0) + 1
  end
  accounts[ticketOf(id).account] = true
end
local cleaned = tonumber(call('HGET', V, 'cleaned') or 0)
if math.abs(now - cleaned) > 1000 then
  isClean = true
  call('HSET', V, 'cleaned', now)
  local all = call('HGETALL', F)
  for i = 1, #all, 2 do
    if struct.unpack('d', all[i + 1]) <= virtual and not accounts[all[i]] and not call('ZSCORE', N, all[i]) then
      call('HDEL', F, all[i])
    end
  end
end
if call('HLEN', T) == 0 then
  call('DEL', F, Q, B, N, C, U, W, S)
  virtual, turns, tokens, ms, waits, running = 0, 0, 0, 0, 0, 0
end
local others = {}
for i, server in ipairs(servers) do
  others[i * 2 - 1] = server
  others[i * 2] = counts[server]
end
local positions, place = {}, placer()
for i, id in ipairs(looked) do
  local ticket = ticketOf(id)
  positions[i] = ticket and ticket.state == 'waiting' and place(id, ticket) or 0
end
what, first, second = 'swept', others, positions`,
);

/**
 * Says again what a gate has at a lane, in place of all that it has said before. ARGV: the gate's name before, then of each ticket:
 * ticket, account, cost, most, weight, behind, servers with slots, number, server that it holds or nothing. May come in parts.
 */
export const rejoin = decision(
  '',
  `
if ARGV[a + 6] ~= '' then dropGate(ARGV[a + 6]) end
for i = a + 7, a + n, 9 do
  local id, server = ARGV[i], ARGV[i + 8]
  local ticket = {account = ARGV[i + 1], cost = tonumber(ARGV[i + 2]), most = tonumber(ARGV[i + 3]),
    weight = tonumber(ARGV[i + 4]), behind = tonumber(ARGV[i + 5]), list = ARGV[i + 6], seq = tonumber(ARGV[i + 7]), told = 0}
  if ticket.seq == 0 then ticket.seq = math.max(at[1] * 1000000 + at[2], last + 1) end
  last = math.max(last, ticket.seq)
  if ticketOf(id) then remove(id, ticketOf(id)) end
  if server == '' then wait(id, ticket)
  else
    setServed(ticket.account, math.max(servedOf(ticket.account), virtual) + ticket.cost / ticket.weight)
    hold(id, ticket, server)
    ticket.state = 'held'
    keep(id, ticket)
  end
end
fill()
what = 'joined'`,
);

/** Of a lane that only other gates use: running, waiting, accounts. */
export const look = script(
  "return {redis.call('ZCARD', KEYS[4]), redis.call('ZCARD', KEYS[3]), redis.call('ZCARD', KEYS[8])}",
);
