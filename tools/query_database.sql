-- views --
-- Returns the views that the role may read, with their columns and what they are for.
select c.relname as name,
       coalesce(obj_description(c.oid, 'pg_class'), '') as about,
       array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                 order by a.attnum) as columns
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relnamespace = to_regnamespace('reports')
   and c.relkind = 'v'
   and has_table_privilege(c.oid, 'select')
 group by c.oid, c.relname
 order by c.relname

-- power --
-- Tells what the role could do besides reading its views; null when it is nothing.
select case
           when r.rolsuper then 'is a superuser'
           when r.rolbypassrls then 'may bypass row-level security'
           when r.rolcreaterole or r.rolcreatedb then 'may create roles or databases'
           when exists (select from pg_auth_members m where m.member = r.oid)
               then 'belongs to other roles'
           when has_schema_privilege(to_regnamespace('parley'), 'usage')
               then 'reaches the tables themselves'
           when has_schema_privilege(to_regnamespace('checkpoints'), 'usage')
               then 'reaches the checkpoints'
       end
  from pg_roles r
 where r.rolname = current_user

-- settings --
-- Sets what holds until the end of this transaction.
select set_config('parley.tenant', %(tenant_id)s, true),
       set_config('search_path', 'reports', true),
       set_config('statement_timeout', %(milliseconds)s, true),
       set_config('lock_timeout', '1000', true),
       set_config('timezone', 'UTC', true),
       set_config('work_mem', '4MB', true)
