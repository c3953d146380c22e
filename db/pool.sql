-- begin --
-- Begins a transaction and names the tenant whose rows are visible until it ends.
begin; select set_config('parley.tenant', %(tenant_id)s, true)

-- start --
-- Begins a transaction.
begin

-- name_tenant --
-- Names the tenant whose rows are visible until the transaction ends.
select set_config('parley.tenant', %(tenant_id)s, true)

-- commit --
-- Ends a transaction well.
commit

-- patience --
-- A process that was stopped in the middle of a transaction loses what it holds there after a while.
set idle_in_transaction_session_timeout = '1min'

-- search_path --
-- Looks into our schemas first.
select set_config('search_path', %(path)s, false)

-- ping --
-- Answers.
select 1

-- power --
-- Tells who we are and which power over row-level security that role has, itself or by membership.
select current_user::text,
       (select case when r.rolsuper then 'is a superuser'
                    when r.rolbypassrls then 'may bypass row-level security'
                    else 'owns the tables' end
          from pg_roles r
         where pg_has_role(current_user, r.oid, 'member')
           and (r.rolsuper or r.rolbypassrls or exists (
                   select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                    where n.nspname = 'parley' and c.relkind in ('r', 'p') and c.relowner = r.oid))
         order by r.rolsuper desc, r.rolbypassrls desc
         limit 1)
