-- figures --
-- Jobs by state, of every tenant, and the age in seconds of the oldest that waits.
select count(*) filter (where status = 'todo')::integer as todo,
       count(*) filter (where status = 'doing')::integer as doing,
       count(*) filter (where status = 'failed')::integer as failed,
       coalesce((
           select extract(epoch from clock_timestamp() - e.at)
             from procrastinate_events e
            where e.type = 'deferred'
              and e.job_id = (select min(j.id) from procrastinate_jobs j
                               where j.status = 'todo' and j.task_name = %(task)s)
            limit 1), 0)::double precision as lag_seconds
  from procrastinate_jobs

-- workers --
-- How many workers have shown a sign of life lately.
select count(*)::integer from procrastinate_workers
 where last_heartbeat > now() - make_interval(secs => %(seconds)s)

-- try_sweep --
-- Becomes the one worker that looks after the jobs of dead ones; false when another one does.
select pg_try_advisory_lock(7092346016)

-- end_sweep --
-- Lets the next one.
select pg_advisory_unlock(7092346016)
