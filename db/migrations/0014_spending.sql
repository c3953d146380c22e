-- What was spent on models, and how far it has used up budgets.

-- One question to a model. It stays when its conversation is deleted: the money is gone as well.
create table spending (
    tenant_id         text    not null,
    run_id            uuid    not null,
    number            integer not null,   -- 1, 2, 3 … within the run
    day               date    not null,   -- UTC, when the attempt ended in which it was asked
    user_id           text    not null,
    thread_id         uuid    not null,
    model             text    not null,   -- its name in the model file
    task              text    not null,   -- answer | rewrite | …
    prompt_tokens     integer not null,
    completion_tokens integer not null,
    usd               numeric not null,
    primary key (tenant_id, run_id, number)
);
create index spending_by_day on spending (tenant_id, day);

-- What a budget has used up; only budgets that were set have rows.
create table budget_periods (
    tenant_id      text     not null,
    scope          text     not null check (scope in ('tenant', 'user', 'thread')),
    subject        text     not null,   -- the user or the thread; '' for the tenant
    per            text     not null check (per in ('day', 'month')),
    starts         date     not null,   -- its first day, UTC
    usd            numeric  not null,   -- spent
    limit_usd      numeric  not null,   -- as it was at the last turn
    reached        smallint not null,   -- the highest share in percent that was told: 0, 50, 80, 100
    reached_before smallint not null,   -- the same before the last turn
    primary key (tenant_id, scope, subject, per, starts)
) with (fillfactor = 80);

select protect('spending');
select protect('budget_periods');

-- What a budget's subject has spent since a day; of the transaction's tenant, as everywhere.
create function spent_since(scope text, subject text, since date) returns numeric
language sql stable
return coalesce(
    case scope
        when 'tenant' then (select sum(s.usd) from spending s where s.day >= since)
        when 'user' then (select sum(s.usd) from spending s
                           where s.day >= since and s.user_id = subject)
        else (select sum(s.usd) from spending s  -- by way of its runs, which have an index
               where s.run_id in (select r.run_id from runs r where r.thread_id = subject::uuid)
                 and s.day >= since)
    end, 0);

-- The highest share, in percent, that is told when so much is spent.
create function share_reached(usd numeric, limit_usd numeric) returns smallint
language sql immutable
return (case when usd >= limit_usd then 100
             when usd >= 0.8 * limit_usd then 80
             when usd >= 0.5 * limit_usd then 50 else 0 end)::smallint;

revoke execute on function spent_since(text, text, date) from public;
revoke execute on function share_reached(numeric, numeric) from public;
grant execute on function spent_since(text, text, date) to parley_app;
grant execute on function share_reached(numeric, numeric) to parley_app;
