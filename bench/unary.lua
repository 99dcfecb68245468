-- The load of whole answers, for wrk: one POST over and over, its key taken in turn from a file with one key a line.
-- Arguments: path, body, key file, then headers as "name: value". Requests are put together before the clock starts.
-- Prints one line of JSON at the end; latencies are in microseconds.
local requests, turn = {}, 0

function init(args)
  local headers = { ["Host"] = wrk.headers["Host"], ["Content-Type"] = "application/json" }
  for i = 4, #args do
    local name, value = args[i]:match("^([^:]+): (.*)$")
    headers[name] = value
  end
  for key in io.lines(args[3]) do
    headers["x-api-key"] = key
    requests[#requests + 1] = wrk.format("POST", args[1], headers, args[2])
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"notOk":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
