-- The flood of wrong keys for wrk: each request carries another key that is well formed and that nobody has.
-- KEYS_FILE names a file with one key a line.
local keys = {}
for line in io.lines(os.getenv("KEYS_FILE")) do
  keys[#keys + 1] = line
end
local turn = 0

request = function()
  turn = turn % #keys + 1
  return wrk.format("GET", "/api/version", { ["x-api-key"] = keys[turn] })
end
