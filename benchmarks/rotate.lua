-- For wrk: sends the bodies of a file (one a line) in turn, and prints one line of figures.
-- wrk ... -s rotate.lua ADDRESS -- FILE

local requests, at = {}, 0

function init(arguments)
  for body in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, body)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = 0
  for _, count in pairs(summary.errors) do
    errors = errors + count
  end
  io.write(string.format(
    '\n{"answers": %d, "seconds": %f, "errors": %d, "p50": %f, "p99": %f, "worst": %f}\n',
    summary.requests, summary.duration / 1e6, errors,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3
  ))
end
