-- What the checks found, and what stands behind the placeholders of a conversation.

-- In a column of its own: it is forgotten when its time is over, and the rest of the log stays.
alter table turns add column findings jsonb;
create index turns_with_findings on turns (created_at) where findings is not null;

-- Personal data that a model was shown as <EMAIL_1>. It goes with its conversation.
create table placeholders (
    tenant_id   text not null,
    thread_id   uuid not null,
    placeholder text not null,
    value       text not null,   -- what it stands for, or a keyed digest where that is not kept
    primary key (tenant_id, thread_id, placeholder),
    foreign key (tenant_id, thread_id) references threads (tenant_id, thread_id) on delete cascade
);
select protect('placeholders');

create policy sweep on turns to parley_sweeper using (true) with check (true);
grant select (tenant_id, created_at, findings), update (findings) on turns to parley_sweeper;

-- Forgets findings of every tenant that are older than the days that hold for it.
create function forget_findings(general_days integer, own_days jsonb) returns bigint
language sql security definer set search_path = parley, pg_temp as $$
    with forgotten as (
        update turns t set findings = null
         where t.findings is not null
           and t.created_at
               < now() - make_interval(days => coalesce((own_days ->> t.tenant_id)::integer, general_days))
        returning 1)
    select count(*) from forgotten
$$;

grant create on schema parley to parley_sweeper;
alter function forget_findings(integer, jsonb) owner to parley_sweeper;
revoke create on schema parley from parley_sweeper;
revoke execute on function forget_findings(integer, jsonb) from public;
grant execute on function forget_findings(integer, jsonb) to parley_app;
