-- find --
-- The run that a key stands for, with the user's message.
select k.request, k.run_id, r.thread_id, m.message_id
  from request_keys k
  join runs r on r.tenant_id = k.tenant_id and r.run_id = k.run_id
  left join messages m on m.thread_id = r.thread_id and m.run_id = r.run_id and m.role = 'user'
 where k.user_id = %(user_id)s and k.key = %(key)s

-- keep --
-- Takes a key for a run, waiting for whoever is about to take it, and removes some that are old.
with old as (
    delete from request_keys k
     where (k.user_id, k.key) in (
               select o.user_id, o.key from request_keys o
                where o.created_at < now() - interval '2 days'
                order by o.created_at limit 20
                  for update skip locked)
)
insert into request_keys (tenant_id, user_id, key, request, run_id)
values (%(tenant_id)s, %(user_id)s, %(key)s, %(request)s, %(run_id)s)
on conflict do nothing
returning key
