-- The requests of wrk: `wrk -s check.lua URL -- get|check|batch COUNT`. Checks the first COUNT numbers in random order. Writes the
-- results to the file $WRK_JSON, in the format of portcullis-load.
local first = 46732000000
local random = math.random
local batches, next_batch = {}, 0

local function post(body)
    return wrk.format("POST", "/portcullis/v1/senders/support/check", {
        ["Authorization"] = "Bearer demo-secret",
        ["Content-Type"] = "application/json",
    }, body)
end

-- All numbers have 11 digits, so a request is a constant head and tail around the number. Formatting each request from scratch would
-- make the client the bottleneck.
local function around(whole)
    local from, to = whole:find("NNNNNNNNNNN", 1, true)
    return whole:sub(1, from - 1), whole:sub(to + 1)
end

function init(arguments)
    local what, count = arguments[1], tonumber(arguments[2])
    if what == "batch" then
        for nth = 1, 4096 do
            local numbers = {}
            for n = 1, 100 do
                numbers[n] = '"' .. first + random(0, count - 1) .. '"'
            end
            batches[nth] = post('{"numbers":[' .. table.concat(numbers, ",") .. '],"direction":"outbound"}')
        end
        request = function()
            next_batch = next_batch % #batches + 1
            return batches[next_batch]
        end
        return
    end
    local whole
    if what == "get" then
        whole = wrk.format("GET", "/?n=NNNNNNNNNNN")
    else
        whole = post('{"number":"NNNNNNNNNNN","direction":"outbound"}')
    end
    local before, after = around(whole)
    request = function()
        return before .. first + random(0, count - 1) .. after
    end
end

function done(summary, latency)
    local errors = summary.errors
    local refused = errors.status + errors.connect + errors.read + errors.write + errors.timeout
    local file = assert(io.open(os.getenv("WRK_JSON"), "w"))
    file:write(string.format(
        '{"requests":%.1f,"answered":%d,"p50":%d,"p99":%d,"refused":%d}\n',
        summary.requests / summary.duration * 1e6, summary.requests,
        latency:percentile(50) * 1000, latency:percentile(99) * 1000, refused
    ))
    file:close()
end
