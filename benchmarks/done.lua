-- wrk calls done() once, after the run: one line of JSON instead of text for people.
-- There is no request() or response() here, so no Lua runs while requests are sent. A status from 400 on
-- counts as failed, and so does every code but 1000: this server gives none of the others with a lower status.
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\n{"requests": %d, "seconds": %.6f, "p99_ms": %.3f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e3, failed))
end
