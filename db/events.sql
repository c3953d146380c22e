-- append --
-- Stores a stretch of a run's log, if the writer still holds the run's lease, and wakes tailers.
with held as (
    select run_id from runs
     where run_id = %(run_id)s and lease_token = %(lease_token)s and status = 'running'
       for share
), stored as (
    insert into run_events (tenant_id, run_id, first_seq, last_seq, packed)
    select %(tenant_id)s, run_id, %(first_seq)s, %(last_seq)s, %(packed)s from held
    returning run_id
)
select pg_notify('run_events', run_id::text) from stored

-- append_end --
-- Stores the last stretch of a run that this lease has ended in the same transaction.
with ended as (
    select run_id from runs
     where run_id = %(run_id)s and lease_token = %(lease_token)s and status <> 'running'
), stored as (
    insert into run_events (tenant_id, run_id, first_seq, last_seq, packed)
    select %(tenant_id)s, run_id, %(first_seq)s, %(last_seq)s, %(packed)s from ended
    on conflict do nothing
    returning run_id
)
select pg_notify('run_events', run_id::text) from stored

-- read --
-- The stretches of a run's log that hold something after a sequence number, in order.
select events, packed from run_events
 where run_id = %(run_id)s and last_seq > %(after)s
 order by first_seq
