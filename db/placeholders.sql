-- known --
-- What stands behind the placeholders of a conversation.
select placeholder, value from placeholders where thread_id = %(thread_id)s

-- save --
-- Keeps the placeholders of a turn that this lease has ended; those that are known stay as they are.
insert into placeholders (tenant_id, thread_id, placeholder, value)
select r.tenant_id, r.thread_id, new.placeholder, new.value
  from runs r, unnest(%(placeholders)s::text[], %(values)s::text[]) as new (placeholder, value)
 where r.run_id = %(run_id)s and r.lease_token = %(lease_token)s and r.status <> 'running'
on conflict do nothing
