// The scripts of the limits: each one decides or changes everything that one account's call needs, as one step. An account has
//   {account}:b         the book: for the account and each key, the figures of each window; `seed` is the generation it was made in
//   {account}:l[:key]   running calls with the time until which each of them counts, so that running is counted and never added up
//   {account}:ld        every lease that is not in the ledger yet: the book is the ledger's sums and these
//   {account}:w         present while a call somewhere waits for another one to end
// A tally is a list of start, requests, prompt, completion and units for each window; a lease is a list, too (see `lease`).
import { type Script, script } from './script.ts';

const shared = `
local windows = 5
local function tally(text)
  if text then return cmsgpack.unpack(text) end
  local empty = {}
  for i = 1, windows * 5 do empty[i] = 0 end
  return empty
end
-- A window that has begun stays, and one that is over keeps nothing.
local function roll(t, w, start)
  local at = (w - 1) * 5 + 1
  if start > t[at] then
    t[at] = start
    for i = 1, 4 do t[at + i] = 0 end
  end
end
local function add(t, w, start, r, p, c, u)
  local at = (w - 1) * 5 + 1
  if start == t[at] then
    t[at + 1] = t[at + 1] + r
    t[at + 2] = t[at + 2] + p
    t[at + 3] = t[at + 3] + c
    t[at + 4] = t[at + 4] + u
  end
end
local function used(t, window, measure)
  local at = window * 5 + 1
  if measure == 0 then return t[at + 1] end
  if measure == 1 then return t[at + 2] + t[at + 3] end
  return t[at + measure]
end
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
-- lease: 1 gate, 2 generation, 3 settled (1) or open (0), 4 counts as running, 5 key, 6-10 starts, 11-14 figures
`;

/** What `look` and `reserve` begin with. KEYS: book, running, running of the key. Eleven arguments and the limits. */
const standing = `
local gen, key, now = ARGV[1], ARGV[2], clock()
if math.abs(now - ARGV[3]) > 2000 then return {'skew'} end
local book = redis.call('HMGET', KEYS[1], 'seed', 'a', 'k:' .. key)
if book[1] ~= gen then return {'cold'} end
local both = {tally(book[2]), tally(book[3])}
local starts, isNewMinute = {}, tonumber(ARGV[4]) > both[2][1]
for w = 1, windows do
  local at = (w - 1) * 5 + 1
  starts[w] = math.max(tonumber(ARGV[3 + w]), both[1][at], both[2][at])
  roll(both[1], w, starts[w])
  roll(both[2], w, starts[w])
end
local held, running = redis.call('ZCARD', KEYS[2]), {0, 0}
if held > 0 then
  running = {redis.call('ZCOUNT', KEYS[2], now, '+inf'), redis.call('ZCOUNT', KEYS[3], now, '+inf')}
end
local stale = held > running[1] and 1 or 0
local limits = tonumber(ARGV[9])
local function answer(kind, which)
  local said = {kind, which, running[1], running[2], stale}
  for w = 1, windows do said[5 + w] = starts[w] end
  for i = 0, limits - 1 do
    local from = 9 + i * 4
    said[11 + i] = used(both[ARGV[from + 1] + 1], tonumber(ARGV[from + 2]), tonumber(ARGV[from + 3]))
  end
  return said
end
`;

export const look: Script = script(`${shared}${standing}return answer('look', 0)`);

/** KEYS: book, running, running of the key, leases, waits. After the limits: lease, gate, life, runs, figures, concurrency. */
export const reserve: Script = script(`${shared}${standing}
local rest = 9 + limits * 4
local id, gate, life, runs = ARGV[rest + 1], ARGV[rest + 2], tonumber(ARGV[rest + 3]), tonumber(ARGV[rest + 4])
local r, p, c, u = tonumber(ARGV[rest + 5]), tonumber(ARGV[rest + 6]), tonumber(ARGV[rest + 7]), tonumber(ARGV[rest + 8])
if redis.call('HEXISTS', KEYS[4], id) == 1 then return answer('lease', 0) end
if runs == 1 then
  for i = 1, 2 do
    local most = tonumber(ARGV[rest + 8 + i])
    if most >= 0 and running[i] >= most then
      redis.call('SET', KEYS[5], '1', 'PX', 5000)
      return answer('crowded', i - 1)
    end
  end
end
local needs = {[0] = r, p + c, p, c, u}
for i = 0, limits - 1 do
  local from = 9 + i * 4
  local measure, most = tonumber(ARGV[from + 3]), tonumber(ARGV[from + 4])
  local need = needs[measure]
  if need ~= 0 then
    local before = used(both[ARGV[from + 1] + 1], tonumber(ARGV[from + 2]), measure)
    if before >= most or before + math.min(need, most) > most then return answer('full', i) end
  end
end
local lease = {gate, gen, 0, runs, key}
for w = 1, windows do
  lease[5 + w] = starts[w]
  add(both[1], w, starts[w], r, p, c, u)
  add(both[2], w, starts[w], r, p, c, u)
end
lease[11], lease[12], lease[13], lease[14] = r, p, c, u
redis.call('HSET', KEYS[1], 'a', cmsgpack.pack(both[1]), 'k:' .. key, cmsgpack.pack(both[2]))
redis.call('HSET', KEYS[4], id, cmsgpack.pack(lease))
if runs == 1 then
  for i = 2, 3 do
    redis.call('ZADD', KEYS[i], now + life, id)
    running[i - 1] = running[i - 1] + 1
  end
end
-- Whatever is in them for longer than this is renewed, or used again in another minute.
if isNewMinute or held == 0 then redis.call('PEXPIRE', KEYS[4], 2851200000) end
for i = 2, 3 do
  if runs == 1 and (isNewMinute or running[i - 1] == 1) then redis.call('PEXPIRE', KEYS[i], 86400000) end
end
return answer('lease', 0)
`);

/** KEYS: book, running, running of the key, leases, waits. The lease, its last figures or -1 for none, channel, message. */
export const end: Script = script(`${shared}
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
local text = redis.call('HGET', KEYS[4], ARGV[1])
if not text then return 0 end
local lease = cmsgpack.unpack(text)
if lease[3] == 1 then return 1 end
local cancelled = ARGV[2] == '-1'
local figures = {0, 0, 0, 0}
if not cancelled then figures = {tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])} end
local book = redis.call('HMGET', KEYS[1], 'seed', 'a', 'k:' .. lease[5])
if book[1] then
  local both = {tally(book[2]), tally(book[3])}
  for i = 1, 2 do
    for w = 1, windows do
      add(both[i], w, lease[5 + w], figures[1] - lease[11], figures[2] - lease[12], figures[3] - lease[13], figures[4] - lease[14])
    end
  end
  redis.call('HSET', KEYS[1], 'a', cmsgpack.pack(both[1]), 'k:' .. lease[5], cmsgpack.pack(both[2]))
end
if cancelled then
  redis.call('HDEL', KEYS[4], ARGV[1])
else
  lease[3] = 1
  for i = 1, 4 do lease[10 + i] = figures[i] end
  redis.call('HSET', KEYS[4], ARGV[1], cmsgpack.pack(lease))
end
if redis.call('DEL', KEYS[5]) == 1 then redis.call('PUBLISH', ARGV[6], ARGV[7]) end
return 1
`);

/** Takes out leases that the ledger has. KEYS: leases. */
export const landed: Script = script("return redis.call('HDEL', KEYS[1], unpack(ARGV))");

/** KEYS: running, leases, running of each key. Life, then lease and the place of its key. Returns the leases that are missing. */
export const renew: Script = script(`${shared}
local now, missing = clock(), {}
for i = 2, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i])
    redis.call('ZADD', KEYS[2 + ARGV[i + 1]], now + ARGV[1], ARGV[i])
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
 * generation, life, how many are on their way, those, then for each lease: id, place of its key, key, settled, runs, starts, figures.
 */
export const adopt: Script = script(
  `${shared}
local gate, gen, now, coming = ARGV[1], ARGV[2], clock(), tonumber(ARGV[4])
redis.call('HDEL', KEYS[1], 'seed')
local mine, places = {}, {}
for i = 5, 4 + coming do mine[ARGV[i]] = 'coming' end
for i = 5 + coming, #ARGV, 14 do mine[ARGV[i]] = 'held' end
for i = 5 + coming, #ARGV, 14 do
  local id, place = ARGV[i], KEYS[3 + ARGV[i + 1]]
  local lease = {gate, gen, tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]), ARGV[i + 2]}
  for j = 1, 9 do lease[5 + j] = tonumber(ARGV[i + 4 + j]) end
  redis.call('HSET', KEYS[3], id, cmsgpack.pack(lease))
  if lease[3] == 0 and lease[4] == 1 then
    redis.call('ZADD', KEYS[2], now + ARGV[3], id)
    redis.call('ZADD', place, now + ARGV[3], id)
  else
    redis.call('ZREM', KEYS[2], id)
    redis.call('ZREM', place, id)
  end
end
local all = redis.call('HGETALL', KEYS[3])
for i = 1, #all, 2 do
  local lease = cmsgpack.unpack(all[i + 1])
  if lease[1] == gate then
    if not mine[all[i]] then
      redis.call('HDEL', KEYS[3], all[i])
      for k = 1, #KEYS do
        if k ~= 1 and k ~= 3 then redis.call('ZREM', KEYS[k], all[i]) end
      end
    elseif mine[all[i]] == 'coming' then
      lease[2] = gen
      redis.call('HSET', KEYS[3], all[i], cmsgpack.pack(lease))
    end
  end
end
redis.call('PEXPIRE', KEYS[3], 2851200000)
return 1
`,
  true,
);

/** KEYS: leases. Returns id, gate and generation of each. */
export const list: Script = script(`
local all, said = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  local lease = cmsgpack.unpack(all[i + 1])
  said[#said + 1] = all[i]
  said[#said + 1] = lease[1]
  said[#said + 1] = lease[2]
end
return said
`);

/**
 * Makes the book from the ledger's sums and the leases that the ledger lacks: set, never added, so that two gates that do it write
 * the same. Does nothing if the leases are not those any more with which the ledger was asked. KEYS: book, running, leases.
 * Generation, how many leases, gone (in the ledger, or never begun) and lost ones, those three, then for each tally: its field and 25 figures.
 */
export const seed: Script = script(`${shared}
local gen, listed, known, lost = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local before = redis.call('HGET', KEYS[1], 'seed')
if before == gen then return 'seeded' end
if before and tonumber(string.match(before, '^%d+')) > tonumber(string.match(gen, '^%d+')) then return 'newer' end
if redis.call('HLEN', KEYS[3]) ~= listed then return 'changed' end
for i = 5, 4 + listed do
  if redis.call('HEXISTS', KEYS[3], ARGV[i]) == 0 then return 'changed' end
end
local from = 5 + listed
for i = from, from + known + lost - 1 do
  local text = redis.call('HGET', KEYS[3], ARGV[i])
  -- A gate that has entered its leases again since then has not lost this one.
  if text and (i < from + known or cmsgpack.unpack(text)[2] ~= gen) then
    redis.call('HDEL', KEYS[3], ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
  end
end
local tallies = {}
for i = from + known + lost, #ARGV, 26 do
  local t = {}
  for j = 1, 25 do t[j] = tonumber(ARGV[i + j]) end
  tallies[ARGV[i]] = t
end
local all = redis.call('HGETALL', KEYS[3])
for i = 1, #all, 2 do
  local lease = cmsgpack.unpack(all[i + 1])
  for _, field in ipairs({'a', 'k:' .. lease[5]}) do
    local t = tallies[field] or tally(false)
    tallies[field] = t
    for w = 1, windows do
      roll(t, w, lease[5 + w])
      add(t, w, lease[5 + w], lease[11], lease[12], lease[13], lease[14])
    end
  end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'seed', gen)
for field, t in pairs(tallies) do redis.call('HSET', KEYS[1], field, cmsgpack.pack(t)) end
redis.call('PEXPIRE', KEYS[1], 21600000)
return 'seeded'
`);
