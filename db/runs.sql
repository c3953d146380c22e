-- start --
-- Takes the thread's next sequence number, stores the user's message and the run, all or nothing;
-- nothing, and null, when runs of the thread are queued. This is when the thread was last used:
-- `finish` leaves that alone, so no index has to change.
with free as (
    select not exists (
        select from runs where thread_id = %(thread_id)s and status = 'queued') as free
), thread as (
    update threads set last_seq = last_seq + free::int,
           updated_at = case when free then now() else updated_at end
      from free
     where thread_id = %(thread_id)s and user_id = %(user_id)s
    returning case when free then last_seq end as last_seq
), run as (
    insert into runs (tenant_id, run_id, thread_id, user_id, status, input, lease_owner, lease_expires_at)
    select %(tenant_id)s, %(run_id)s, %(thread_id)s, %(user_id)s, 'running',
           %(input)s::jsonb || jsonb_build_object('user_seq', last_seq),
           %(worker)s, now() + make_interval(secs => %(lease_seconds)s)
      from thread where last_seq is not null
    returning run_id
), message as (
    insert into messages (tenant_id, thread_id, seq, message_id, run_id, role, content)
    select %(tenant_id)s, %(thread_id)s, thread.last_seq, %(message_id)s, run.run_id, 'user', %(text)s
      from thread, run
)
select last_seq from thread

-- start_queued --
-- The same for a run that waits for its turn; whoever works on the thread's runs is told.
-- Its place in the queue is that of its message: the clock is read when the thread is ours.
with thread as (
    update threads set last_seq = last_seq + 1, updated_at = now()
     where thread_id = %(thread_id)s and user_id = %(user_id)s
    returning last_seq
), run as (
    insert into runs (tenant_id, run_id, thread_id, user_id, status, attempt, input, lease_owner, lease_expires_at, created_at)
    select %(tenant_id)s, %(run_id)s, %(thread_id)s, %(user_id)s, 'queued', 0,
           %(input)s::jsonb || jsonb_build_object('user_seq', last_seq), '', now(), clock_timestamp()
      from thread
    returning run_id
), message as (
    insert into messages (tenant_id, thread_id, seq, message_id, run_id, role, content)
    select %(tenant_id)s, %(thread_id)s, thread.last_seq, %(message_id)s, run.run_id, 'user', %(text)s
      from thread, run
)
select last_seq, pg_notify('run_queued', %(run_id)s::text) from thread

-- finish --
-- Ends a run that still holds its lease and stores the answer, if there is one.
with run as (
    update runs set status = %(status)s, error = %(error)s, finished_at = now()
     where run_id = %(run_id)s and lease_token = %(lease_token)s and status = 'running'
    returning thread_id
), thread as (
    update threads t
       set last_seq = last_seq + (%(message_id)s::uuid is not null)::int,
           title = case when t.title = '' then %(title)s else t.title end
      from run where t.thread_id = run.thread_id
    returning t.thread_id, t.last_seq
), message as (
    insert into messages (tenant_id, thread_id, seq, message_id, run_id, role, content, citations, abstained, taint)
    select %(tenant_id)s, thread_id, last_seq, %(message_id)s, %(run_id)s, 'assistant',
           %(answer)s, %(citations)s, %(abstained)s, %(taint)s
      from thread where %(message_id)s::uuid is not null
    returning 1
)
select count(*) from run

-- get --
-- One run of a thread, and what it waits for.
select run_id, thread_id, status, error, attempt, created_at, finished_at,
       case when status = 'waiting' then array(
           select a.approval_id from approvals a
            where a.run_id = r.run_id and a.status = 'pending'
            order by a.created_at, a.approval_id) else '{}' end as approvals
  from runs r where thread_id = %(thread_id)s and run_id = %(run_id)s

-- list_of_thread --
-- The runs of a thread, newest first, and what they wait for.
select run_id, thread_id, status, error, attempt, created_at, finished_at,
       case when status = 'waiting' then array(
           select a.approval_id from approvals a
            where a.run_id = r.run_id and a.status = 'pending'
            order by a.created_at, a.approval_id) else '{}' end as approvals
  from runs r where thread_id = %(thread_id)s
 order by created_at desc, run_id desc limit %(limit)s

-- load --
-- What a process needs to take a run over.
select thread_id, user_id, input, attempt, lease_token, cancel_requested, resumes
  from runs where run_id = %(run_id)s and status = 'running'

-- queued --
-- How many runs of a thread wait for their turn.
select count(*) from runs where thread_id = %(thread_id)s and status = 'queued'

-- active --
-- The runs of a thread that have not ended, oldest first.
select run_id, thread_id, status, error, attempt, created_at, finished_at
  from runs where thread_id = %(thread_id)s and status in ('queued', 'running', 'waiting')
 order by created_at, run_id

-- hold --
-- Keeps a run of ours as it is: pausing and deciding wait for each other here.
select from runs
 where run_id = %(run_id)s and lease_token = %(lease_token)s and status = 'running' for no key update

-- pause --
-- Lets a run wait for a decision, unless it has been taken, or somebody wants the run to end:
-- then it goes on at once, and whoever goes on with it ends it.
update runs r
   set status = case when pending and not cancel_requested then 'waiting' else 'queued' end,
       resumes = resumes + (cancel_requested or not pending)::int
  from (select exists (select from approvals where approval_id = %(approval_id)s
                          and status = 'pending') as pending)
 where run_id = %(run_id)s
returning status, case when status = 'queued' then pg_notify('run_queued', run_id::text) end

-- unsay --
-- Removes the messages of runs that have ended. What they did stays in the ledger.
delete from messages m using runs r
 where m.thread_id = %(thread_id)s and m.run_id = any(%(run_ids)s) and r.run_id = m.run_id
   and r.status in ('succeeded', 'failed', 'cancelled')

-- asked --
-- What a run was asked.
select input from runs where thread_id = %(thread_id)s and run_id = %(run_id)s

-- retract --
-- Takes the message of a run back, so that it can be asked again: the last of its thread, which
-- failed or was cancelled before it changed anything outside.
with gone as (
    delete from messages m using runs r, threads t
     where m.thread_id = %(thread_id)s and m.run_id = %(run_id)s and r.run_id = m.run_id
       and r.status in ('failed', 'cancelled') and t.thread_id = m.thread_id and m.seq = t.last_seq
       and not exists (
           select from tool_calls c
            where c.run_id = r.run_id and c.effect <> 'none'
              and c.status in ('started', 'done', 'failed', 'unknown'))
    returning m.thread_id
)
update threads t set last_seq = last_seq - 1 from gone where t.thread_id = gone.thread_id

-- end_idle --
-- Ends a run that nobody works on; its last event comes after all that it may have.
update runs set status = 'cancelled', cancel_requested = true, finished_at = now()
 where thread_id = %(thread_id)s and run_id = %(run_id)s and status in ('queued', 'waiting')
returning user_id, attempt, lease_token, coalesce((input ->> 'webhook')::boolean, false)

-- claim_queued --
-- Takes queued runs that may begin, across tenants.
select tenant_id, run_id from claim_queued_runs(%(worker)s, %(lease_seconds)s, %(most)s)

-- request_cancel --
-- Asks the process that works on a run to stop, and wakes it.
update runs set cancel_requested = true
 where thread_id = %(thread_id)s and run_id = %(run_id)s and status = 'running'
returning pg_notify('run_control', run_id::text)

-- release --
-- Gives the lease back, so that another process can take the run over at once.
update runs set lease_expires_at = now() - interval '1 second'
 where run_id = %(run_id)s and lease_token = %(lease_token)s and status = 'running'

-- renew_leases --
-- Renews the leases of this process, across tenants.
select run_id, lease_token, cancel_requested from renew_leases(%(worker)s, %(run_ids)s, %(lease_seconds)s)

-- take_over --
-- Takes over runs whose process stopped renewing, across tenants.
select tenant_id, run_id from take_over_runs(%(worker)s, %(lease_seconds)s, %(most)s)
