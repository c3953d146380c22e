-- save --
-- Stores the log of a turn that this lease has ended, in place of what an earlier attempt stored.
insert into turns (tenant_id, run_id, thread_id, intent, query, prompt_name, prompt_version,
                   prompt_sha256, model, usage, stages, first_token_ms, total_ms, outcome, findings,
                   packed)
select %(tenant_id)s, run_id, %(thread_id)s, %(intent)s, %(query)s, %(prompt_name)s,
       %(prompt_version)s::int, %(prompt_sha256)s, %(model)s::jsonb, %(usage)s::jsonb, %(stages)s,
       %(first_token_ms)s::real, %(total_ms)s, %(outcome)s, %(findings)s::jsonb, %(packed)s
  from runs
 where run_id = %(run_id)s and lease_token = %(lease_token)s and status <> 'running'
on conflict (run_id) do update
   set intent = excluded.intent, query = excluded.query, prompt_name = excluded.prompt_name,
       prompt_version = excluded.prompt_version, prompt_sha256 = excluded.prompt_sha256,
       model = excluded.model, usage = excluded.usage, stages = excluded.stages,
       first_token_ms = excluded.first_token_ms, total_ms = excluded.total_ms,
       outcome = excluded.outcome, findings = excluded.findings, packed = excluded.packed, created_at = now()

-- get --
-- The log of a turn.
select run_id, thread_id, intent, query, prompt_name, prompt_version, prompt_sha256,
       prompt, passages, raw_answer, model, usage, stages, first_token_ms, total_ms, outcome,
       created_at, retrieval, support, coalesce(findings, '[]') as findings, packed
  from turns where run_id = %(run_id)s

-- decided --
-- Notes in the audit log what the checks decided in a turn that this lease has ended.
select audit('safety.decided', %(actor)s, run_id::text, %(details)s)
  from runs
 where run_id = %(run_id)s and lease_token = %(lease_token)s and status <> 'running'

-- recorded --
-- Turns of the last days with what the user wrote, newest first.
select t.run_id, t.created_at, m.content, t.packed
  from turns t
  join messages m on m.run_id = t.run_id and m.role = 'user'
 where t.created_at >= now() - make_interval(days => %(days)s) and t.packed is not null
 order by t.created_at desc, t.run_id
 limit %(limit)s

-- forget --
-- Forgets what the checks found, where it is older than the tenant's policy keeps it.
select forget_findings(%(general_days)s, %(own_days)s)

-- said --
-- A stretch of a conversation.
select role, content, seq
  from messages where thread_id = %(thread_id)s and seq between %(first_seq)s and %(last_seq)s
 order by seq
