-- request --
-- Asks the reviewers about a call, unless they are being asked already.
insert into approvals (tenant_id, approval_id, call_id, run_id, thread_id, kind, tool, effect,
                       arguments, proposed, digest, policy, rule, requested_by, quorum, taint,
                       evidence, expires_at, escalates_at)
values (%(tenant_id)s, %(approval_id)s, %(call_id)s, %(run_id)s, %(thread_id)s, %(kind)s, %(tool)s,
        %(effect)s, %(arguments)s, %(arguments)s, %(digest)s, %(policy)s, %(rule)s, %(requested_by)s,
        %(quorum)s, %(taint)s, %(evidence)s, now() + make_interval(secs => %(expires_seconds)s),
        now() + make_interval(secs => %(escalate_seconds)s))
on conflict (tenant_id, call_id) where status = 'pending' do nothing
returning approval_id

-- get --
-- One approval.
select approval_id, call_id, run_id, thread_id, kind, tool, effect, arguments, proposed, digest,
       policy, rule, requested_by, quorum, status, taint, evidence as evidence, created_at, expires_at,
       escalates_at, escalated_at, claimed_by, claimed_until, decided_by, decided_at, reason, answer,
       case when quorum = 1 then 0 else (
           select count(*)::integer from approval_votes v
            where v.approval_id = a.approval_id and v.digest = a.digest) end as votes,
       expires_at <= now() as overdue, coalesce(claimed_until > now(), false) as claimed
  from approvals a where a.approval_id = %(approval_id)s

-- pending_of --
-- The question about a call that is open, or the newest one that was.
select approval_id, call_id, run_id, thread_id, kind, tool, effect, arguments, proposed, digest,
       policy, rule, requested_by, quorum, status, taint, evidence as evidence, created_at, expires_at,
       escalates_at, escalated_at, claimed_by, claimed_until, decided_by, decided_at, reason, answer,
       case when quorum = 1 then 0 else (
           select count(*)::integer from approval_votes v
            where v.approval_id = a.approval_id and v.digest = a.digest) end as votes,
       expires_at <= now() as overdue, coalesce(claimed_until > now(), false) as claimed
  from approvals a where a.call_id = %(call_id)s
 order by (status = 'pending') desc, created_at desc limit 1

-- lock_run --
-- Keeps the run of an approval as it is: pausing and deciding wait for each other here.
select status from runs where run_id = (
    select run_id from approvals where approval_id = %(approval_id)s) for no key update

-- lock --
-- Keeps an approval as it is until the transaction ends.
select from approvals where approval_id = %(approval_id)s for update

-- page --
-- Approvals that fit, oldest first: what waits longest comes first. What was proposed and the
-- evidence are left out: who reads one asks for it.
select approval_id, call_id, run_id, thread_id, kind, tool, effect, arguments, '{}'::jsonb as proposed, digest,
       policy, rule, requested_by, quorum, status, taint, '{}'::jsonb as evidence, created_at, expires_at,
       escalates_at, escalated_at, claimed_by, claimed_until, decided_by, decided_at, reason, answer,
       case when quorum = 1 then 0 else (
           select count(*)::integer from approval_votes v
            where v.approval_id = a.approval_id and v.digest = a.digest) end as votes,
       expires_at <= now() as overdue, coalesce(claimed_until > now(), false) as claimed
  from approvals a
 where (%(status)s::text is null or status = %(status)s)
   and (%(tool)s::text is null or tool = %(tool)s)
   and (%(thread_id)s::uuid is null or thread_id = %(thread_id)s)
   and (%(kind)s::text is null or kind = %(kind)s)
   and (%(claimed_by)s::text is null or claimed_by = %(claimed_by)s and claimed_until > now())
   and (not %(escalated)s or escalated_at is not null)
   and (not %(tainted)s or taint <> '[]')
   and (%(after_at)s::timestamptz is null
        or (created_at, approval_id) > (%(after_at)s, %(after_id)s::uuid))
 order by created_at, approval_id limit %(limit)s

-- counts --
-- How many there are in each state; ended ones of the last day.
select status, count(*)::integer, count(*) filter (where escalated_at is not null)::integer,
       count(*) filter (where claimed_until > now())::integer, min(created_at)
  from approvals
 where status = 'pending' or created_at > now() - interval '1 day'
 group by status

-- claim --
-- Reserves an approval for one reviewer for a while; again, it prolongs.
update approvals
   set claimed_by = %(reviewer)s, claimed_until = now() + make_interval(secs => %(seconds)s)
 where approval_id = %(approval_id)s and status = 'pending' and expires_at > now()
   and (claimed_by is null or claimed_by = %(reviewer)s or claimed_until <= now())
returning claimed_until

-- release --
-- Gives a claim back.
update approvals set claimed_by = null, claimed_until = null
 where approval_id = %(approval_id)s and status = 'pending' and claimed_by = %(reviewer)s
returning approval_id

-- vote --
-- Counts a reviewer's consent to what they saw.
insert into approval_votes (tenant_id, approval_id, reviewer, digest)
values (%(tenant_id)s, %(approval_id)s, %(reviewer)s, %(digest)s)
on conflict (tenant_id, approval_id, reviewer) do update set digest = excluded.digest, voted_at = now()

-- votes --
-- How many agree to what stands there now.
select count(*)::integer from approval_votes
 where approval_id = %(approval_id)s and digest = %(digest)s

-- voted --
-- Who agreed, and whether that still counts.
select v.reviewer, v.voted_at, v.digest = a.digest
  from approval_votes v join approvals a on a.tenant_id = v.tenant_id and a.approval_id = v.approval_id
 where v.approval_id = %(approval_id)s order by v.voted_at, v.reviewer

-- change --
-- Puts other arguments in place; whoever agreed to the old ones has not agreed to these, and where
-- these need more people than the old ones, so many have to agree.
update approvals
   set arguments = %(arguments)s, digest = %(digest)s,
       rule = case when %(quorum)s > quorum then %(rule)s else rule end,
       quorum = greatest(quorum, %(quorum)s)
 where approval_id = %(approval_id)s and status = 'pending'

-- decide --
-- Ends a pending approval; whoever comes later finds it ended.
update approvals
   set status = %(status)s, decided_by = %(decided_by)s, decided_at = now(), reason = %(reason)s,
       answer = %(answer)s, claimed_by = null, claimed_until = null
 where approval_id = %(approval_id)s and status = 'pending'
returning approval_id

-- escalate --
-- Notes that nobody has decided for a while.
update approvals set escalated_at = now()
 where approval_id = %(approval_id)s and status = 'pending' and escalated_at is null
   and escalates_at <= now()
returning approval_id

-- of_run --
-- The pending approvals of a run.
select approval_id from approvals where run_id = %(run_id)s and status = 'pending' and kind = 'action'

-- wake --
-- Lets a waiting run go on, unless it waits for a decision about an earlier call.
update runs set status = 'queued', resumes = resumes + 1
 where run_id = %(run_id)s and status = 'waiting'
   and not exists (
       select from approvals a join tool_calls c on c.tenant_id = a.tenant_id and c.call_id = a.call_id
        where a.run_id = %(run_id)s and a.status = 'pending'
          and c.position < (select position from tool_calls where call_id = %(call_id)s))
returning pg_notify('run_queued', run_id::text)

-- due --
-- What is to expire or to escalate, across tenants.
select tenant_id, approval_id from approvals_due(%(most)s)

-- notice --
-- What the outside is to be told; whoever sends it is woken at the commit.
insert into notices (tenant_id, kind, body) values (%(tenant_id)s, %(kind)s, %(body)s)
returning pg_notify('notices', '')
