-- propose --
-- Writes a proposed call down, once: the same call again changes nothing.
insert into tool_calls (tenant_id, call_id, thread_id, run_id, position, tool, arguments, digest,
                        effect, idempotency, taint, policy, rule, status, result, code, finished_at)
values (%(tenant_id)s, %(call_id)s, %(thread_id)s, %(run_id)s, %(position)s, %(tool)s, %(arguments)s,
        %(digest)s, %(effect)s, %(idempotency)s, %(taint)s, %(policy)s, %(rule)s, %(status)s,
        %(result)s, %(code)s, case when %(status)s = 'denied' then now() end)
on conflict (tenant_id, call_id) do nothing

-- get --
-- One call.
select call_id, thread_id, run_id, position, tool, arguments, digest, effect, idempotency, taint,
       policy, rule, status, attempts, result, code, sources, created_at, started_at, finished_at
  from tool_calls where call_id = %(call_id)s

-- lock --
-- The same, and nobody else may change it before this transaction ends.
select call_id, thread_id, run_id, position, tool, arguments, digest, effect, idempotency, taint,
       policy, rule, status, attempts, result, code, sources, created_at, started_at, finished_at
  from tool_calls where call_id = %(call_id)s for update

-- of_run --
-- The calls of a run, in order.
select call_id, thread_id, run_id, position, tool, arguments, digest, effect, idempotency, taint,
       policy, rule, status, attempts, result, code, sources, created_at, started_at, finished_at
  from tool_calls where run_id = %(run_id)s order by position

-- fence --
-- Says whether the run is still ours; nobody takes it over before this transaction ends.
select from runs
 where run_id = %(run_id)s and lease_token = %(lease_token)s and status = 'running' for share

-- patience --
-- A process that was stopped in the middle of an effect loses its hold after a while.
select set_config('idle_in_transaction_session_timeout', %(milliseconds)s, true)

-- start --
-- Notes that a call is about to be made: before it is, so that a crash leaves a trace.
update tool_calls set status = 'started', attempts = attempts + 1, started_at = now()
 where call_id = %(call_id)s and status = any(%(known)s) and attempts = %(attempts)s
returning attempts

-- settle --
-- Notes what came of a call, unless somebody else has.
update tool_calls
   set status = %(status)s, result = %(result)s, code = %(code)s, sources = %(sources)s,
       attempts = greatest(attempts, 1), started_at = coalesce(started_at, now()), finished_at = now()
 where call_id = %(call_id)s and status = any(%(known)s) and attempts = %(attempts)s
returning call_id

-- judge --
-- What another version of the policy says about a call that has not run.
update tool_calls
   set policy = %(policy)s, rule = %(rule)s, status = %(status)s,
       result = %(result)s, code = %(code)s,
       finished_at = case when %(status)s = 'denied' then now() end
 where call_id = %(call_id)s and status in ('ready', 'proposed')
returning call_id

-- decide --
-- What a person has decided about a call.
update tool_calls
   set status = %(status)s, arguments = coalesce(%(arguments)s, arguments),
       digest = coalesce(%(digest)s, digest), result = coalesce(%(result)s, result), code = %(code)s,
       finished_at = case when %(status)s = 'ready' then null else now() end
 where call_id = %(call_id)s and status = any(%(known)s)
returning call_id

-- unfinished --
-- The calls of a run that has ended which nobody has settled.
select call_id, thread_id, run_id, position, tool, arguments, digest, effect, idempotency, taint,
       policy, rule, status, attempts, result, code, sources, created_at, started_at, finished_at
  from tool_calls
 where run_id = %(run_id)s and status in ('proposed', 'ready', 'started')
 order by position for update
