-- For wrk: posts the files of $PHOTOS (one a line) in turn and prints the result as JSON. With $TIMINGS, the
-- Server-Timing of every answer is written to that file, one a line.
local requests, at = {}, 0
local timings = os.getenv("TIMINGS")

function init()
    for path in os.getenv("PHOTOS"):gmatch("[^\n]+") do
        local file = assert(io.open(path, "rb"))
        requests[#requests + 1] = wrk.format("POST", nil, {["Content-Type"] = "image/jpeg"}, file:read("*a"))
        file:close()
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end

if timings then
    local file = assert(io.open(timings, "w"))
    function response(status, headers) file:write(headers["Server-Timing"], "\n") end
end

function done(summary, latency)
    local e = summary.errors
    print(string.format('{"requests_s": %.2f, "p50_ms": %.3f, "p99_ms": %.3f, "errors": %d}',
        summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        e.connect + e.read + e.write + e.status + e.timeout))
end
