// The scripts of the limits: each one decides or changes everything that one account's call needs, as one step. An account has
//   {account}:b         the book: for the account and each key, the figures of each window; `seed` is the generation it was made in,
//                       `made` when, and `recoveries` the mark of the last one that the ledger had then
//   {account}:l[:key]   running calls with the time until which each of them counts, so that running is counted and never added up
//   {account}:ld        every lease that is not in the ledger yet: the book is the ledger's sums and these
//   {account}:w         present while a call somewhere waits for another one to end
// A tally (of the account: `a`, of a key: `k:` and its id) has two fields. `a` has five measures for each window: requests, tokens, prompt,
// completion, units. `a+` has what was used in all windows since `a` was written, by measure, and when they began: so a call adds to five
// figures and not to twenty-five, and `a` changes when a window begins, or a call of an earlier window ends.
import { type Part, part, type Script, script } from './script.ts';

/** How long a running call counts without being renewed. */
const leaseLifeMs = 30_000;

/**
 * Figures are kept as eight bytes each: as text they take a script longer than all that it does with them. A lease is kept as text, too:
 * whether it is open or settled, whether it counts as running, its requests, prompt, completion and units; gate, generation and key, each
 * with a zero byte behind it, and when its windows began.
 */
const lease = `
local function leaseOf(text)
  if not string.find(text, '^[os]') then return nil end
  local r, p, c, u, gate, gen, key, from = struct.unpack('ddddsss', text, 3)
  return {settled = string.sub(text, 1, 1) == 's', runs = string.sub(text, 2, 2), r = r, p = p, c = c, u = u,
    gate = gate, gen = gen, key = key, starts = string.sub(text, from)}
end
local function textOf(l)
  return (l.settled and 's' or 'o') .. l.runs .. struct.pack('dddd', l.r, l.p, l.c, l.u)
    .. l.gate .. '\\0' .. l.gen .. '\\0' .. l.key .. '\\0' .. l.starts
end
`;

const tallies = `
local windows, measures = 5, 5
local form = string.rep('d', windows * measures)
local function numbersOf(starts)
  local all = {}
  for each in string.gmatch(starts, '%S+') do all[#all + 1] = tonumber(each) end
  return all
end
local function startsOf(all)
  local texts = {}
  for w = 1, windows do texts[w] = string.format('%.0f', all[w]) end
  return table.concat(texts, ' ')
end
-- A tally as figures and starts.
local function open(base, since)
  local t, starts = {}, {}
  for i = 1, windows * measures do t[i] = 0 end
  for w = 1, windows do starts[w] = 0 end
  if base and since then
    t = {struct.unpack(form, base)}
    local all = {struct.unpack('ddddd', since)}
    starts = numbersOf(string.sub(since, 41))
    for i = 1, windows * measures do t[i] = t[i] + all[(i - 1) % measures + 1] end
  end
  return t, starts
end
-- A window that has begun stays, and one that is over keeps nothing.
local function roll(t, starts, w, start)
  if start > starts[w] then
    starts[w] = start
    for m = 1, measures do t[(w - 1) * measures + m] = 0 end
  end
end
local function add(t, w, r, p, c, u)
  for m, figure in ipairs({r, p + c, p, c, u}) do
    local i = (w - 1) * measures + m
    t[i] = t[i] + figure
  end
end
local function fieldsOf(t, starts)
  return struct.pack(form, unpack(t, 1, windows * measures)), struct.pack('ddddd', 0, 0, 0, 0, 0) .. startsOf(starts)
end
`;

/**
 * What `look` and `reserve` begin with. KEYS: book, running, running of the key. ARGV: generation, key, time of the gate, when the windows
 * began, the last recovery that this gate knows of, which limits (a character each: subject, window and measure), how much each of them
 * allows.
 */
const standing = `
local call = redis.call
local book, leases = KEYS[k + 1], KEYS[k + 2]
local gen, key, starts, recoveries, limits = ARGV[a + 1], ARGV[a + 2], ARGV[a + 4], ARGV[a + 5], ARGV[a + 6]
local now = at[1] * 1000 + math.floor(at[2] / 1000)
if math.abs(now - ARGV[a + 3]) > 2000 then return {'skew'} end
local field = 'k:' .. key
local kept = call('HMGET', book, 'seed', 'a', 'a+', field, field .. '+', 'recoveries')
if kept[1] ~= gen or recoveries ~= '0' and tonumber(kept[6] or 0) < tonumber(recoveries) then return {'cold'} end
local ofAccount, sinceAccount, ofKey, sinceKey = kept[2], kept[3], kept[4], kept[5]
local isRolled, isNewMinute = false, false
if not sinceKey or string.sub(sinceKey, 41) ~= starts or string.sub(sinceAccount, 41) ~= starts then
  ${tallies}
  local one, startsOne = open(ofAccount, sinceAccount)
  local other, startsOther = open(ofKey, sinceKey)
  -- The clock was set back since, so the windows have yet to begin. The ledger knows what was used in those of now.
  local given, begun = numbersOf(starts), math.max(startsOne[1], startsOther[1])
  if begun > given[1] and begun > now + 2000 then
    call('HDEL', book, 'seed')
    return {'cold'}
  end
  isRolled, isNewMinute = true, given[1] > startsOther[1]
  for w = 1, windows do
    local start = math.max(given[w], startsOne[w], startsOther[w])
    roll(one, startsOne, w, start)
    roll(other, startsOther, w, start)
  end
  ofAccount, sinceAccount = fieldsOf(one, startsOne)
  ofKey, sinceKey = fieldsOf(other, startsOther)
  starts = startsOf(startsOne)
end
local held, running, runningOfKey = call('ZCARD', leases), 0, 0
if held > 0 then
  local from = string.format('%d', now)
  running, runningOfKey = call('ZCOUNT', leases, from, '+inf'), call('ZCOUNT', KEYS[k + 3], from, '+inf')
end
local said = {'look', 0, running, runningOfKey, held > running and 1 or 0, isRolled and starts or ''}
local all = {{struct.unpack('ddddd', sinceAccount)}, {struct.unpack('ddddd', sinceKey)}}
for i = 1, #limits do
  local code = string.byte(limits, i) - 48
  local which, base = 1, ofAccount
  if code >= 25 then code, which, base = code - 25, 2, ofKey end
  said[6 + i] = struct.unpack('d', base, code * 8 + 1) + all[which][code % 5 + 1]
end
`;

export const look: Script = part(`${standing}return said`);

/**
 * KEYS: book, running, running of the key, leases, waits. ARGV after the limits: lease, gate, runs, figures (requests, prompt, completion,
 * units), how many of the account and of the key may run, or -1.
 */
export const reserve: Part = part(`${standing}
local rest = a + 6 + #limits
local id, runs = ARGV[rest + 1], ARGV[rest + 3]
said[1] = 'lease'
if call('HEXISTS', KEYS[k + 4], id) == 1 then return said end
if runs == '1' then
  local most, mostOfKey = tonumber(ARGV[rest + 8]), tonumber(ARGV[rest + 9])
  local isFull = most >= 0 and running >= most
  if isFull or mostOfKey >= 0 and runningOfKey >= mostOfKey then
    call('SET', KEYS[k + 5], '1', 'PX', 5000)
    said[1], said[2] = 'crowded', isFull and 0 or 1
    return said
  end
end
local r, p, c, u = tonumber(ARGV[rest + 4]), tonumber(ARGV[rest + 5]), tonumber(ARGV[rest + 6]), tonumber(ARGV[rest + 7])
local needs = {r, p + c, p, c, u}
for i = 1, #limits do
  local need = needs[(string.byte(limits, i) - 48) % 5 + 1]
  if need ~= 0 then
    local before, most = said[6 + i], tonumber(ARGV[a + 6 + i])
    if before >= most or before + math.min(need, most) > most then
      for j = 1, i - 1 do said[6 + j] = said[6 + j] - needs[(string.byte(limits, j) - 48) % 5 + 1] end
      said[1], said[2] = 'full', i - 1
      return said
    end
    said[6 + i] = before + need
  end
end
for i, since in ipairs({sinceAccount, sinceKey}) do
  local sums = all[i]
  all[i] = struct.pack('ddddd', sums[1] + r, sums[2] + p + c, sums[3] + p, sums[4] + c, sums[5] + u) .. starts
end
call('HSET', book, 'a+', all[1], field .. '+', all[2])
if isRolled then call('HSET', book, 'a', ofAccount, field, ofKey) end
call('HSET', KEYS[k + 4], id, 'o' .. runs .. struct.pack('dddd', r, p, c, u) .. ARGV[rest + 2] .. '\\0' .. gen .. '\\0' .. key .. '\\0' .. starts)
-- Whatever is in them for longer than this is renewed, or used again in another minute.
if isNewMinute or held == 0 then call('PEXPIRE', KEYS[k + 4], 2851200000) end
if runs == '1' then
  local till = string.format('%d', now + ${leaseLifeMs})
  call('ZADD', leases, till, id)
  call('ZADD', KEYS[k + 3], till, id)
  if isNewMinute or running == 0 then call('PEXPIRE', leases, 86400000) end
  if isNewMinute or runningOfKey == 0 then call('PEXPIRE', KEYS[k + 3], 86400000) end
  said[3], said[4] = running + 1, runningOfKey + 1
end
return said
`);

/**
 * KEYS: book, running, running of the key, leases, waits. ARGV: channel, message, then of each lease: its id and its last figures or -1 for
 * none. Returns for each of them whether it was there.
 */
export const end: Part = part(`
local call = redis.call
local book, answers, kept, field, isChanged = KEYS[k + 1], {}, nil, nil, false
for i = a + 3, a + n, 5 do
  local id = ARGV[i]
  call('ZREM', KEYS[k + 2], id)
  call('ZREM', KEYS[k + 3], id)
  local text = call('HGET', KEYS[k + 4], id)
  answers[#answers + 1] = text and 1 or 0
  if text and string.byte(text) == 111 then
    local r, p, c, u, gate, gen, key, from = struct.unpack('ddddsss', text, 3)
    local starts = string.sub(text, from)
    local isCancelled = ARGV[i + 1] == '-1'
    local figures = isCancelled and '' or struct.pack('dddd', ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
    if isCancelled then r, p, c, u = -r, -p, -c, -u
    else r, p, c, u = ARGV[i + 1] - r, ARGV[i + 2] - p, ARGV[i + 3] - c, ARGV[i + 4] - u end
    if not kept then
      field = 'k:' .. key
      kept = call('HMGET', book, 'seed', 'a+', field .. '+')
    end
    if kept[1] then
      for j = 2, 3 do
        local since = kept[j]
        if since then
          local begun = string.sub(since, 41)
          if begun ~= starts then
            -- Some windows have begun since: it does not count in them.
            local name = j == 2 and 'a' or field
            local base = {struct.unpack(string.rep('d', 25), call('HGET', book, name))}
            local change, each = {r, p + c, p, c, u}, string.gmatch(starts, '%S+')
            local w = 0
            for start in string.gmatch(begun, '%S+') do
              if start ~= each() then
                for m = 1, 5 do base[w * 5 + m] = base[w * 5 + m] - change[m] end
              end
              w = w + 1
            end
            call('HSET', book, name, struct.pack(string.rep('d', 25), unpack(base, 1, 25)))
          end
          local s1, s2, s3, s4, s5 = struct.unpack('ddddd', since)
          kept[j] = struct.pack('ddddd', s1 + r, s2 + p + c, s3 + p, s4 + c, s5 + u) .. begun
          isChanged = true
        end
      end
    end
    if isCancelled then call('HDEL', KEYS[k + 4], id)
    else call('HSET', KEYS[k + 4], id, 's' .. string.sub(text, 2, 2) .. figures .. string.sub(text, 35)) end
  end
end
if isChanged then
  if kept[3] then call('HSET', book, 'a+', kept[2], field .. '+', kept[3])
  else call('HSET', book, 'a+', kept[2]) end
end
if call('DEL', KEYS[k + 5]) == 1 then call('PUBLISH', ARGV[a + 1], ARGV[a + 2]) end
return answers
`);

/** Takes out leases that the ledger has. KEYS: leases. */
export const landed: Part = part("return redis.call('HDEL', KEYS[k + 1], unpack(ARGV, a + 1, a + n))");

/** KEYS: running, leases, running of each key. Lease and the place of its key. Returns the leases that are missing. */
export const renew: Script = part(`
local till, missing = at[1] * 1000 + math.floor(at[2] / 1000) + ${leaseLifeMs}, {}
for i = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    redis.call('ZADD', KEYS[1], till, ARGV[i])
    redis.call('ZADD', KEYS[2 + ARGV[i + 1]], till, ARGV[i])
  else
    missing[#missing + 1] = ARGV[i]
  end
end
for i = 1, #KEYS do
  if i ~= 2 then redis.call('PEXPIRE', KEYS[i], 86400000) end
end
return missing
`);

/**
 * One gate's leases of an account become these, and the book cold. KEYS: book, running, leases, running of each key. Gate,
 * generation, how many are on their way, those, then for each lease: id, place of its key, key, settled, runs, starts, figures.
 */
export const adopt: Script = script(
  `${lease}
local gate, gen, time, coming = ARGV[1], ARGV[2], redis.call('TIME'), tonumber(ARGV[3])
local till = time[1] * 1000 + math.floor(time[2] / 1000) + ${leaseLifeMs}
redis.call('HDEL', KEYS[1], 'seed')
local mine, places = {}, {}
for i = 4, 3 + coming do mine[ARGV[i]] = 'coming' end
for i = 4 + coming, #ARGV, 10 do mine[ARGV[i]] = 'held' end
for i = 4 + coming, #ARGV, 10 do
  local id, place = ARGV[i], KEYS[3 + ARGV[i + 1]]
  local l = {gate = gate, gen = gen, key = ARGV[i + 2], settled = ARGV[i + 3] == '1', runs = ARGV[i + 4], starts = ARGV[i + 5],
    r = ARGV[i + 6], p = ARGV[i + 7], c = ARGV[i + 8], u = ARGV[i + 9]}
  redis.call('HSET', KEYS[3], id, textOf(l))
  if not l.settled and l.runs == '1' then
    redis.call('ZADD', KEYS[2], till, id)
    redis.call('ZADD', place, till, id)
  else
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', place, id)
  end
end
local all = redis.call('HGETALL', KEYS[3])
for i = 1, #all, 2 do
  local l = leaseOf(all[i + 1])
  if l and l.gate == gate then
    if not mine[all[i]] then
      redis.call('HDEL', KEYS[3], all[i])
      for k = 1, #KEYS do
        if k ~= 1 and k ~= 3 then redis.call('ZREM', KEYS[k], all[i]) end
      end
    elseif mine[all[i]] == 'coming' then
      l.gen = gen
      redis.call('HSET', KEYS[3], all[i], textOf(l))
    end
  end
end
redis.call('PEXPIRE', KEYS[3], 2851200000)
return 1
`,
  true,
);

/** KEYS: book, leases. Returns when the book was made, then id, gate and generation of each; what another layout left is removed. */
export const list: Script = script(`${lease}
local all, said = redis.call('HGETALL', KEYS[2]), {redis.call('HGET', KEYS[1], 'made') or ''}
for i = 1, #all, 2 do
  local l = leaseOf(all[i + 1])
  if l then
    said[#said + 1] = all[i]
    said[#said + 1] = l.gate
    said[#said + 1] = l.gen
  else
    redis.call('HDEL', KEYS[2], all[i])
  end
end
return said
`);

/**
 * Makes the book from the ledger's sums and the leases that the ledger lacks: set, never added, so that two gates that do it write
 * the same. Does nothing if the leases are not those any more with which the ledger was asked, or if the book was made meanwhile.
 * KEYS: book, running, leases. Generation, last recovery, when the book was made last, how many leases, gone (in the ledger, or never
 * begun) and lost ones, those three, then for each tally: its field, when its windows began, and five figures for each of them.
 */
export const seed: Script = script(`${lease}${tallies}
local gen, recoveries, made = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local listed, known, lost = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local kept = redis.call('HMGET', KEYS[1], 'seed', 'recoveries', 'made')
local before = kept[1]
if before == gen and tonumber(kept[2] or 0) >= recoveries then return 'seeded' end
if (kept[3] or '') ~= made then return 'changed' end
if before and tonumber(string.match(before, '^%d+')) > tonumber(string.match(gen, '^%d+')) then return 'newer' end
if redis.call('HLEN', KEYS[3]) ~= listed then return 'changed' end
for i = 7, 6 + listed do
  if redis.call('HEXISTS', KEYS[3], ARGV[i]) == 0 then return 'changed' end
end
local from = 7 + listed
for i = from, from + known + lost - 1 do
  local text = redis.call('HGET', KEYS[3], ARGV[i])
  -- A gate that has entered its leases again since then has not lost this one.
  if text and (i < from + known or leaseOf(text).gen ~= gen) then
    redis.call('HDEL', KEYS[3], ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
  end
end
local all = {}
for i = from + known + lost, #ARGV, 2 + windows * measures do
  local t = {}
  for j = 1, windows * measures do t[j] = tonumber(ARGV[i + 1 + j]) end
  all[ARGV[i]] = {t, numbersOf(ARGV[i + 1])}
end
local leases, present, time = redis.call('HGETALL', KEYS[3]), startsOf(all['a'][2]), redis.call('TIME')
for i = 1, #leases, 2 do
  local l = leaseOf(leases[i + 1])
  -- The clock was set back since it began.
  if numbersOf(l.starts)[1] > time[1] * 1000 + 2000 then
    l.starts = present
    redis.call('HSET', KEYS[3], leases[i], textOf(l))
  end
  local begun = numbersOf(l.starts)
  for _, field in ipairs({'a', 'k:' .. l.key}) do
    all[field] = all[field] or {open()}
    local t, starts = all[field][1], all[field][2]
    for w = 1, windows do
      roll(t, starts, w, begun[w])
      if begun[w] == starts[w] then add(t, w, l.r, l.p, l.c, l.u) end
    end
  end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'seed', gen, 'made', string.format('%.0f', time[1] * 1000000 + time[2]))
if recoveries > 0 then redis.call('HSET', KEYS[1], 'recoveries', ARGV[2]) end
for field, tally in pairs(all) do
  local base, since = fieldsOf(tally[1], tally[2])
  redis.call('HSET', KEYS[1], field, base, field .. '+', since)
end
redis.call('PEXPIRE', KEYS[1], 21600000)
return 'seeded'
`);
