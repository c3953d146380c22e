-- Roles, the vector type, and the one way in which a table becomes private to its tenants.

-- Superusers only, unless it is there already or marked as trusted.
create extension if not exists vector with schema public;

-- Roles belong to the whole server: another database of Parley there may have made them.
do $$
begin
    create role parley_app login;
exception when duplicate_object or unique_violation then null;
end
$$;
do $$
begin
    create role parley_sweeper nologin;
exception when duplicate_object or unique_violation then null;
end
$$;

-- An owner that is no superuser hands functions over only to a role that it belongs to.
do $$
begin
    if not (select rolsuper from pg_roles where rolname = current_user) then
        grant parley_sweeper to current_user with inherit true, set true;
    end if;
end
$$;

grant usage on schema parley to parley_app, parley_sweeper;
grant usage on schema checkpoints to parley_app;
grant select on migrations to parley_app;

-- Make a table private: each tenant sees and writes its own rows, and parley_app may use it.
-- Without a tenant there are no rows: the setting is null before its first use in a session
-- and '' after it. Partitions need nothing: parley_app reaches them through their table only.
create function protect(target regclass) returns void
language plpgsql set search_path = parley, pg_temp as $$
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    execute format(
        'create policy tenant on %s
            using (tenant_id = nullif(current_setting(''parley.tenant'', true), ''''))
            with check (tenant_id = nullif(current_setting(''parley.tenant'', true), ''''))',
        target);
    execute format('grant select, insert, update, delete on %s to parley_app', target);
end
$$;
revoke execute on function protect(regclass) from public;
