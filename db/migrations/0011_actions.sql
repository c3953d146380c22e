-- Calls of tools, decisions about them, and the log of who did what.
-- A run may now wait for a person, or for its turn behind another run of its thread.

alter table runs drop constraint runs_status_check;
alter table runs add constraint runs_status_check
    check (status in ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled'));
-- Times it went on after a decision: attempts that are no failures.
alter table runs add column resumes integer not null default 0;
create index runs_queued on runs (thread_id, created_at, run_id) where status = 'queued';
create index runs_waiting on runs (tenant_id) where status = 'waiting';

-- Where text by strangers came from that an answer may repeat; later turns inherit it.
alter table messages add column taint jsonb;

-- The ledger: one row a call. Its status alone says what may happen to it.
create table tool_calls (
    tenant_id   text        not null,
    call_id     uuid        not null,   -- ours: model servers repeat theirs
    thread_id   uuid        not null,
    run_id      uuid        not null,
    position    integer     not null,   -- 1, 2, 3 … within the run
    tool        text        not null,
    arguments   jsonb       not null,   -- as they will be used: a reviewer may have edited them
    digest      text        not null,   -- SHA-256 of tool and arguments
    effect      text        not null,
    idempotency text        not null,
    taint       jsonb       not null default '[]',
    policy      text        not null,   -- version that judged it
    rule        text        not null,   -- of the policy, for people
    status      text        not null check (status in (
                    'proposed',   -- waits for a decision
                    'ready',      -- may run
                    'started',    -- was sent, and nobody has noted yet what came of it
                    'done', 'refused', 'failed',          -- it ran, would not, went wrong
                    'unknown',    -- it may have happened; a person is asked
                    'denied', 'rejected', 'answered', 'expired', 'cancelled')),  -- it never ran
    attempts    integer     not null default 0,
    result      text,                   -- for the model
    code        text        not null default '',
    sources     jsonb       not null default '[]',
    created_at  timestamptz not null default now(),
    started_at  timestamptz,
    finished_at timestamptz,
    primary key (tenant_id, call_id),
    unique (run_id, position),
    foreign key (tenant_id, run_id) references runs (tenant_id, run_id) on delete cascade
);

-- A question to the reviewers about one call.
create table approvals (
    tenant_id     text        not null,
    approval_id   uuid        not null,
    call_id       uuid        not null,
    run_id        uuid        not null,
    thread_id     uuid        not null,
    kind          text        not null check (kind in ('action', 'outcome')),  -- may it; did it
    tool          text        not null,
    effect        text        not null,
    arguments     jsonb       not null,  -- as they stand now
    proposed      jsonb       not null,  -- as the model wrote them
    digest        text        not null,
    policy        text        not null,
    rule          text        not null,
    requested_by  text        not null,  -- the user whose conversation it is
    quorum        integer     not null check (quorum > 0),
    status        text        not null default 'pending' check (status in (
                      'pending', 'approved', 'rejected', 'answered', 'expired', 'cancelled')),
    taint         jsonb       not null default '[]',
    evidence      jsonb       not null,  -- what a reviewer is shown
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null,
    escalates_at  timestamptz,
    escalated_at  timestamptz,
    claimed_by    text,
    claimed_until timestamptz,
    decided_by    text,
    decided_at    timestamptz,
    reason        text        not null default '',
    answer        text,
    primary key (tenant_id, approval_id),
    foreign key (tenant_id, call_id) references tool_calls (tenant_id, call_id) on delete cascade
);
create unique index approvals_one_pending on approvals (tenant_id, call_id) where status = 'pending';
create index approvals_by_time on approvals (tenant_id, created_at, approval_id);
create index approvals_pending on approvals (tenant_id, created_at, approval_id) where status = 'pending';
create index approvals_by_run on approvals (run_id);
create index approvals_due on approvals (expires_at) where status = 'pending';

-- Who has agreed so far, where more than one has to; bound to what they saw.
create table approval_votes (
    tenant_id   text        not null,
    approval_id uuid        not null,
    reviewer    text        not null,
    digest      text        not null,
    voted_at    timestamptz not null default now(),
    primary key (tenant_id, approval_id, reviewer),
    foreign key (tenant_id, approval_id) references approvals (tenant_id, approval_id) on delete cascade
);

-- Answers to requests that carried an Idempotency-Key, given again when the same one comes again.
create table request_keys (
    tenant_id  text        not null,
    user_id    text        not null,
    key        text        not null,
    request    text        not null,   -- SHA-256 of method, path and body
    run_id     uuid,
    created_at timestamptz not null default now(),
    primary key (tenant_id, user_id, key),
    foreign key (tenant_id, run_id) references runs (tenant_id, run_id) on delete cascade
);
create index request_keys_by_run on request_keys (run_id);
create index request_keys_by_time on request_keys (created_at);

-- What the outside is told, stored together with what it is about; sent until it arrives.
create table notices (
    tenant_id    text        not null,
    notice_id    uuid        not null default gen_random_uuid(),
    kind         text        not null,   -- approval.requested, approval.decided, …
    body         jsonb       not null,
    attempts     integer     not null default 0,
    next_at      timestamptz not null default now(),
    created_at   timestamptz not null default now(),
    delivered_at timestamptz,
    given_up_at  timestamptz,
    error        text        not null default '',
    primary key (tenant_id, notice_id)
);
create index notices_due on notices (next_at) where delivered_at is null and given_up_at is null;
create index notices_done on notices (tenant_id, coalesce(delivered_at, given_up_at))
    where coalesce(delivered_at, given_up_at) is not null;  -- to remove them after a while

select protect('notices');
select protect('tool_calls');
select protect('approvals');
select protect('approval_votes');
select protect('request_keys');

-- The audit log: nobody changes it, and each entry holds the hash of the one before.
create table audit_log (
    tenant_id text        not null,
    seq       bigint      not null,   -- 1, 2, 3 … within the tenant
    at        timestamptz not null,
    kind      text        not null,   -- approval.requested, action.done, …
    actor     text        not null,   -- a user, or "system"
    subject   text        not null,   -- the call, approval or run that it is about
    details   jsonb       not null,
    previous  bytea       not null,   -- 32 zero bytes in the first entry
    hash      bytea       not null,
    primary key (tenant_id, seq)
);
create index audit_by_subject on audit_log (tenant_id, subject, seq);
create table audit_heads (
    tenant_id text   not null primary key,
    seq       bigint not null,
    hash      bytea  not null
);
select protect('audit_log');
select protect('audit_heads');

do $$
begin
    create role parley_auditor nologin;
exception when duplicate_object or unique_violation then null;
end
$$;
do $$
begin
    if not (select rolsuper from pg_roles where rolname = current_user) then
        grant parley_auditor to current_user with inherit true, set true;
    end if;
end
$$;
grant usage on schema parley to parley_auditor;
revoke insert, update, delete on audit_log from parley_app;
revoke all on audit_heads from parley_app;
grant select, insert on audit_log to parley_auditor;
grant select, insert, update on audit_heads to parley_auditor;

-- What an entry's hash is made of, beside the hash before it. "at" in microseconds since 1970.
create function audit_entry(tenant_id text, seq bigint, at timestamptz, kind text, actor text,
                            subject text, details jsonb)
returns text language sql stable parallel safe set search_path = pg_catalog as $$
    select jsonb_build_array(tenant_id, seq, (extract(epoch from at) * 1000000)::bigint,
                             kind, actor, subject, details)::text
$$;

-- Append an entry for the tenant of the transaction; those of one tenant wait for each other.
create function audit(kind text, actor text, subject text, details jsonb) returns bigint
language plpgsql security definer set search_path = parley, pg_temp as $$
declare
    tenant text := nullif(current_setting('parley.tenant', true), '');
    head   audit_heads;
    moment timestamptz;
    digest bytea;
begin
    insert into audit_heads values (tenant, 0, decode(repeat('00', 32), 'hex')) on conflict do nothing;
    select * into head from audit_heads h where h.tenant_id = tenant for update;
    moment := clock_timestamp();
    digest := sha256(head.hash || convert_to(
        audit_entry(tenant, head.seq + 1, moment, kind, actor, subject, details), 'UTF8'));
    insert into audit_log values (tenant, head.seq + 1, moment, kind, actor, subject, details, head.hash, digest);
    update audit_heads h set seq = head.seq + 1, hash = digest where h.tenant_id = tenant;
    return head.seq + 1;
end
$$;

-- Where the log of the transaction's tenant ends, for who verifies it.
create function audit_head() returns table (seq bigint, hash bytea)
language sql stable security definer set search_path = parley, pg_temp as $$
    select h.seq, h.hash from audit_heads h
     where h.tenant_id = nullif(current_setting('parley.tenant', true), '')
$$;

-- Whose logs there are, for the owner who verifies them all; the application sees its tenant alone.
create policy list on audit_heads for select to parley_auditor using (true);
create function audit_tenants() returns setof text
language sql stable security definer set search_path = parley, pg_temp as $$
    select h.tenant_id from audit_heads h order by h.tenant_id
$$;

-- Even the owner changes nothing by mistake, and adds nothing but with audit().
create function refuse_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' and current_user = 'parley_auditor' then
        return null;
    end if;
    raise exception 'the audit log is only ever appended to';
end
$$;
create trigger append_only before insert or update or delete or truncate on audit_log
    for each statement execute function refuse_change();

grant create on schema parley to parley_auditor;
alter function audit(text, text, text, jsonb) owner to parley_auditor;
alter function audit_head() owner to parley_auditor;
alter function audit_tenants() owner to parley_auditor;
revoke create on schema parley from parley_auditor;
revoke execute on function audit(text, text, text, jsonb) from public;
grant execute on function audit(text, text, text, jsonb) to parley_app;
revoke execute on function audit_tenants() from public;
revoke execute on function audit_head() from public;
grant execute on function audit_head() to parley_app;

-- Runs of every tenant that may begin now: the oldest of its thread, where none is running.
create function claim_queued_runs(worker text, lease_seconds double precision, most integer)
returns table (tenant_id text, run_id uuid)
language sql security definer set search_path = parley, pg_temp as $$
    update runs r
       set status = 'running',
           lease_owner = worker,
           lease_token = r.lease_token + 1,
           attempt = r.attempt + 1,
           lease_expires_at = now() + make_interval(secs => lease_seconds)
     where r.run_id in (
               select x.run_id from runs x
                where x.status = 'queued'
                  and not exists (
                          select from runs y
                           where y.thread_id = x.thread_id
                             and (y.status = 'running'
                                  or y.status = 'queued'
                                     and (y.created_at, y.run_id) < (x.created_at, x.run_id)))
                order by x.created_at
                limit most
                  for update skip locked)
    returning r.tenant_id, r.run_id
$$;

-- Tenants with questions whose time has come: to expire or to escalate.
create policy sweep on approvals to parley_sweeper using (true);
grant select (tenant_id, approval_id, status, expires_at, escalates_at, escalated_at)
    on approvals to parley_sweeper;
grant update (status) on runs to parley_sweeper;
create function approvals_due(most integer)
returns table (tenant_id text, approval_id uuid)
language sql stable security definer set search_path = parley, pg_temp as $$
    select a.tenant_id, a.approval_id from approvals a
     where a.status = 'pending'
       and (a.expires_at <= now() or a.escalates_at <= now() and a.escalated_at is null)
     order by a.expires_at limit most
$$;

-- Takes notices that are due and puts off their next attempt, so that nobody else takes them.
create policy sweep on notices to parley_sweeper using (true) with check (true);
grant select on notices to parley_sweeper;
grant update (attempts, next_at) on notices to parley_sweeper;
create function take_notices(seconds double precision, most integer)
returns table (tenant_id text, notice_id uuid, kind text, body jsonb, attempts integer, created_at timestamptz)
language sql security definer set search_path = parley, pg_temp as $$
    update notices n
       set attempts = n.attempts + 1, next_at = now() + make_interval(secs => seconds)
     where (n.tenant_id, n.notice_id) in (
               select x.tenant_id, x.notice_id from notices x
                where x.delivered_at is null and x.given_up_at is null and x.next_at <= now()
                order by x.next_at limit most for update skip locked)
    returning n.tenant_id, n.notice_id, n.kind, n.body, n.attempts, n.created_at
$$;

grant create on schema parley to parley_sweeper;
alter function take_notices(double precision, integer) owner to parley_sweeper;
alter function claim_queued_runs(text, double precision, integer) owner to parley_sweeper;
alter function approvals_due(integer) owner to parley_sweeper;
revoke create on schema parley from parley_sweeper;
revoke execute on function take_notices(double precision, integer) from public;
grant execute on function take_notices(double precision, integer) to parley_app;
revoke execute on function claim_queued_runs(text, double precision, integer) from public;
revoke execute on function approvals_due(integer) from public;
grant execute on function claim_queued_runs(text, double precision, integer) to parley_app;
grant execute on function approvals_due(integer) to parley_app;
