-- start --
-- Takes the thread's next sequence number, stores the user's message and the run, all or nothing.
-- This is when the thread was last used: `finish` leaves that alone, so no index has to change.
with thread as (
    update threads set last_seq = last_seq + 1, updated_at = now()
     where thread_id = %(thread_id)s and user_id = %(user_id)s
    returning last_seq
), run as (
    insert into runs (tenant_id, run_id, thread_id, user_id, status, input, lease_owner, lease_expires_at)
    select %(tenant_id)s, %(run_id)s, %(thread_id)s, %(user_id)s, 'running',
           %(input)s::jsonb || jsonb_build_object('user_seq', last_seq),
           %(worker)s, now() + make_interval(secs => %(lease_seconds)s)
      from thread
    returning run_id
)
insert into messages (tenant_id, thread_id, seq, message_id, run_id, role, content)
select %(tenant_id)s, %(thread_id)s, thread.last_seq, %(message_id)s, run.run_id, 'user', %(text)s
  from thread, run
returning seq

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
    insert into messages (tenant_id, thread_id, seq, message_id, run_id, role, content, citations, abstained)
    select %(tenant_id)s, thread_id, last_seq, %(message_id)s, %(run_id)s, 'assistant',
           %(answer)s, %(citations)s, %(abstained)s
      from thread where %(message_id)s::uuid is not null
    returning 1
)
select count(*) from run

-- get --
-- One run of a thread.
select run_id, thread_id, status, error, attempt, created_at, finished_at
  from runs where thread_id = %(thread_id)s and run_id = %(run_id)s

-- list_of_thread --
-- The runs of a thread, newest first.
select run_id, thread_id, status, error, attempt, created_at, finished_at
  from runs where thread_id = %(thread_id)s
 order by created_at desc, run_id desc limit %(limit)s

-- load --
-- What a process needs to take a run over.
select thread_id, user_id, input, attempt, lease_token, cancel_requested
  from runs where run_id = %(run_id)s and status = 'running'

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
