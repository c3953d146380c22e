-- prune --
-- Removes the checkpoints of a run that this lease has ended.
with ended as (
    select run_id::text as thread_id from runs
     where run_id = %(run_id)s and lease_token = %(lease_token)s and status <> 'running'
), writes as (
    delete from checkpoint_writes w using ended e where w.thread_id = e.thread_id
), blobs as (
    delete from checkpoint_blobs b using ended e where b.thread_id = e.thread_id
)
delete from checkpoints c using ended e where c.thread_id = e.thread_id
