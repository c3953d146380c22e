-- add --
-- Notes what is to be done, one row an element of the arrays.
insert into ingestions (tenant_id, ingestion_id, batch_id, action, uri, shown, size_bytes,
                        content_sha256, options, priority, job_id)
select %(tenant_id)s, i.ingestion_id, %(batch_id)s, %(action)s, i.uri, i.shown, i.size_bytes,
       %(content_sha256)s, %(options)s, %(priority)s, i.job_id
  from unnest(%(ids)s::uuid[], %(uris)s::text[], %(shown)s::text[], %(sizes)s::bigint[],
              %(jobs)s::bigint[])
       i (ingestion_id, uri, shown, size_bytes, job_id)

-- outdate --
-- Drops what waits, or waits for help, for documents that are asked for anew or are deleted.
with gone as (
    update ingestions
       set state = 'cancelled', finished_at = now()
     where tenant_id = %(tenant_id)s and uri = any(%(uris)s)
       and (state in ('queued', 'parked') or (%(working_too)s and state = 'working'))
    returning tenant_id, ingestion_id, job_id),
     emptied as (
    delete from uploads u using gone g
     where u.tenant_id = g.tenant_id and u.ingestion_id = g.ingestion_id)
select job_id from gone where job_id is not null

-- drop_jobs --
-- Deletes jobs that nobody is at.
delete from procrastinate_jobs where id = any(%(jobs)s) and status in ('failed', 'todo')

-- prune --
-- Deletes what ended a week ago.
delete from ingestions
 where tenant_id = %(tenant_id)s and state in ('done', 'cancelled')
   and finished_at < now() - interval '7 days'

-- start --
-- Begins one more attempt, unless there were enough or there is a newer request for the document.
update ingestions i
   set state = 'working', attempts = attempts + 1, started_at = now(), finished_at = null
 where tenant_id = %(tenant_id)s and ingestion_id = %(ingestion_id)s and job_id = %(job_id)s
   and state in ('queued', 'working') and attempts < %(max_attempts)s
   and not exists (
       select from ingestions n
        where n.tenant_id = i.tenant_id and n.uri = i.uri and n.job_id > i.job_id
          and n.state <> 'cancelled')
returning true

-- give_up --
-- Parks what was attempted often enough without coming to an end.
update ingestions
   set state = 'parked', finished_at = now(), code = coalesce(code, %(code)s),
       message = coalesce(message, %(message)s)
 where tenant_id = %(tenant_id)s and ingestion_id = %(ingestion_id)s and job_id = %(job_id)s
   and state in ('queued', 'working') and attempts >= %(max_attempts)s
returning true

-- pass_over --
-- Ends what a newer request has made pointless.
update ingestions
   set state = 'cancelled', finished_at = now()
 where tenant_id = %(tenant_id)s and ingestion_id = %(ingestion_id)s and job_id = %(job_id)s
   and state in ('queued', 'working')

-- finish --
-- Notes the end; nothing when it was cancelled meanwhile. An upload has served its purpose.
with done as (
    update ingestions
       set state = 'done', finished_at = now(), outcome = %(outcome)s, chunks = %(chunks)s,
           failed = %(failed)s, code = %(code)s, message = %(message)s
     where tenant_id = %(tenant_id)s and ingestion_id = %(ingestion_id)s and state = 'working'
    returning tenant_id, ingestion_id),
     emptied as (
    delete from uploads u using done d
     where u.tenant_id = d.tenant_id and u.ingestion_id = d.ingestion_id)
select true from done

-- park --
-- Sets aside what cannot be done, with the reason.
update ingestions
   set state = 'parked', finished_at = now(), code = %(code)s, message = %(message)s
 where tenant_id = %(tenant_id)s and ingestion_id = %(ingestion_id)s and state = 'working'
returning true

-- requeue --
-- Hands it to the next attempt, with what went wrong; `forgiven` attempts do not count.
update ingestions
   set state = 'queued', attempts = attempts - %(forgiven)s, code = %(code)s, message = %(message)s
 where tenant_id = %(tenant_id)s and ingestion_id = %(ingestion_id)s and state = 'working'

-- parked --
-- What is parked: all of it, or some.
select ingestion_id, uri, action, priority, job_id from ingestions
 where tenant_id = %(tenant_id)s and state = 'parked'
   and (%(ids)s::uuid[] is null or ingestion_id = any(%(ids)s::uuid[]))
   for update

-- revive --
-- Lets what is parked wait again, as if it had never been tried.
update ingestions i
   set state = 'queued', attempts = 0, code = null, message = null, finished_at = null,
       job_id = j.job_id
  from unnest(%(ids)s::uuid[], %(jobs)s::bigint[]) j (ingestion_id, job_id)
 where i.tenant_id = %(tenant_id)s and i.ingestion_id = j.ingestion_id

-- get --
-- One ingestion.
select ingestion_id, batch_id, action, uri, shown, size_bytes, content_sha256, options, priority,
       state, attempts, outcome, chunks, failed, code, message, job_id,
       created_at, started_at, finished_at
  from ingestions
 where tenant_id = %(tenant_id)s and ingestion_id = %(ingestion_id)s

-- newest --
-- The newest request for a document.
select ingestion_id, batch_id, action, uri, shown, size_bytes, content_sha256, options, priority,
       state, attempts, outcome, chunks, failed, code, message, job_id,
       created_at, started_at, finished_at
  from ingestions
 where tenant_id = %(tenant_id)s and uri = %(uri)s
 order by job_id desc
 limit 1

-- listed --
-- Those in some states, of one batch or of all, the newest first.
select ingestion_id, batch_id, action, uri, shown, size_bytes, content_sha256, options, priority,
       state, attempts, outcome, chunks, failed, code, message, job_id,
       created_at, started_at, finished_at
  from ingestions
 where tenant_id = %(tenant_id)s and (state = any(%(states)s) or failed > 0 and %(flawed_too)s)
   and (%(batch_id)s::uuid is null or batch_id = %(batch_id)s)
 order by job_id desc
 limit %(limit)s

-- progress --
-- How far a batch is, or everything.
select state, coalesce(outcome, '') as outcome, count(*)::integer as documents,
       coalesce(sum(size_bytes), 0)::bigint as size_bytes,
       coalesce(sum(chunks), 0)::integer as chunks
  from ingestions
 where tenant_id = %(tenant_id)s and (%(batch_id)s::uuid is null or batch_id = %(batch_id)s)
 group by 1, 2
