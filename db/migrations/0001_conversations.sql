-- Threads, messages, runs, their events and the turn log.
-- Every table carries its tenant and hides the rows of others; see the end of the file.
-- References carry the tenant too: nobody can attach a row to another tenant's thread.

create table threads (
    tenant_id   text        not null,
    thread_id   uuid        not null,
    user_id     text        not null,
    title       text        not null default '',
    metadata    jsonb       not null default '{}',
    last_seq    integer     not null default 0,   -- sequence number of the newest message
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    primary key (thread_id),
    unique (tenant_id, thread_id)
);
create index threads_by_update on threads (tenant_id, updated_at desc, thread_id);

create table runs (
    tenant_id        text        not null,
    run_id           uuid        not null,
    thread_id        uuid        not null,
    user_id          text        not null,
    status           text        not null check (status in ('running', 'succeeded', 'failed', 'cancelled')),
    input            jsonb       not null,             -- the TurnState a run begins with
    error            jsonb,                            -- {code, message} of a failed run
    attempt          integer     not null default 1,
    lease_owner      text        not null,             -- the process that works on it
    lease_token      bigint      not null default 1,   -- fencing: raised at each takeover
    lease_expires_at timestamptz not null,
    cancel_requested boolean     not null default false,
    created_at       timestamptz not null default now(),
    finished_at      timestamptz,
    primary key (run_id),
    unique (tenant_id, run_id),
    foreign key (tenant_id, thread_id) references threads (tenant_id, thread_id) on delete cascade
);
create unique index runs_one_active on runs (thread_id) where status = 'running';
create index runs_by_lease on runs (lease_expires_at) where status = 'running';
create index runs_by_thread on runs (thread_id, created_at);

create table messages (
    tenant_id   text        not null,
    thread_id   uuid        not null,
    seq         integer     not null,                  -- 1, 2, 3 … within the thread
    message_id  uuid        not null,
    run_id      uuid        not null,
    role        text        not null check (role in ('user', 'assistant')),
    content     text        not null,
    citations   jsonb       not null default '[]',
    abstained   boolean     not null default false,
    created_at  timestamptz not null default now(),
    primary key (thread_id, seq),
    unique (message_id),
    foreign key (tenant_id, thread_id) references threads (tenant_id, thread_id) on delete cascade,
    foreign key (tenant_id, run_id) references runs (tenant_id, run_id) on delete cascade
);
create index messages_by_run on messages (run_id);

-- One row holds a stretch of the log: events first_seq … last_seq, in order.
create table run_events (
    tenant_id   text        not null,
    run_id      uuid        not null,
    first_seq   bigint      not null,
    last_seq    bigint      not null,
    events      jsonb       not null,                  -- [[seq, type, data], …]
    created_at  timestamptz not null default now(),
    primary key (run_id, first_seq),
    foreign key (tenant_id, run_id) references runs (tenant_id, run_id) on delete cascade
);

-- The turn log: what was asked, found, sent and answered, with the time each stage took.
create table turns (
    tenant_id      text        not null,
    run_id         uuid        not null,
    thread_id      uuid        not null,
    intent         text,
    query          text,
    prompt_name    text,
    prompt_version integer,
    prompt_sha256  text,
    prompt         jsonb       not null default '[]',  -- messages as sent; history as {first_seq, last_seq}
    passages       jsonb       not null default '[]',  -- with the score of each retriever
    raw_answer     text        not null default '',
    model          jsonb,
    usage          jsonb,
    stages         jsonb       not null default '{}',  -- node -> milliseconds
    first_token_ms real,
    total_ms       real        not null,
    outcome        text        not null,               -- answered | abstained | refused | failed | cancelled
    created_at     timestamptz not null default now(),
    primary key (run_id),
    foreign key (tenant_id, run_id) references runs (tenant_id, run_id) on delete cascade
);

select protect('threads');
select protect('runs');
select protect('messages');
select protect('run_events');
select protect('turns');

-- Leases are kept by processes, which serve every tenant: the only questions that cross the
-- border. They run as a role that may do nothing else.
create policy sweep on runs to parley_sweeper using (true) with check (true);
grant select on runs to parley_sweeper;
grant update (lease_owner, lease_token, lease_expires_at, attempt) on runs to parley_sweeper;

-- Take over up to `most` runs whose process died.
create function take_over_runs(worker text, lease_seconds double precision, most integer)
returns table (tenant_id text, run_id uuid)
language sql security definer set search_path = parley, pg_temp as $$
    update runs r
       set lease_owner = worker,
           lease_token = r.lease_token + 1,
           attempt = r.attempt + 1,
           lease_expires_at = now() + make_interval(secs => lease_seconds)
     where r.run_id in (
               select x.run_id from runs x
                where x.status = 'running' and x.lease_expires_at < now()
                order by x.lease_expires_at
                limit most
                  for update skip locked)
    returning r.tenant_id, r.run_id
$$;

-- Renew the leases of one process on these runs; says which of them somebody wants cancelled.
create function renew_leases(worker text, run_ids uuid[], lease_seconds double precision)
returns table (run_id uuid, lease_token bigint, cancel_requested boolean)
language sql security definer set search_path = parley, pg_temp as $$
    update runs r
       set lease_expires_at = now() + make_interval(secs => lease_seconds)
     where r.run_id = any(run_ids) and r.status = 'running' and r.lease_owner = worker
    returning r.run_id, r.lease_token, r.cancel_requested
$$;

-- A function's new owner must be able to create in its schema, for that moment.
grant create on schema parley to parley_sweeper;
alter function take_over_runs(text, double precision, integer) owner to parley_sweeper;
alter function renew_leases(text, uuid[], double precision) owner to parley_sweeper;
revoke create on schema parley from parley_sweeper;
revoke execute on function take_over_runs(text, double precision, integer) from public;
revoke execute on function renew_leases(text, uuid[], double precision) from public;
grant execute on function take_over_runs(text, double precision, integer) to parley_app;
grant execute on function renew_leases(text, uuid[], double precision) to parley_app;
