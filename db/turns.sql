-- save --
-- Stores the log of a turn that this lease has ended, in place of what an earlier attempt stored.
insert into turns (tenant_id, run_id, thread_id, intent, query, prompt_name, prompt_version,
                   prompt_sha256, prompt, passages, raw_answer, model, usage, stages,
                   first_token_ms, total_ms, outcome, retrieval, support)
select %(tenant_id)s, run_id, %(thread_id)s, %(intent)s, %(query)s, %(prompt_name)s,
       %(prompt_version)s::int, %(prompt_sha256)s, %(prompt)s, %(passages)s, %(raw_answer)s,
       %(model)s::jsonb, %(usage)s::jsonb, %(stages)s, %(first_token_ms)s::real, %(total_ms)s,
       %(outcome)s, %(retrieval)s, %(support)s
  from runs
 where run_id = %(run_id)s and lease_token = %(lease_token)s and status <> 'running'
on conflict (run_id) do update
   set intent = excluded.intent, query = excluded.query, prompt_name = excluded.prompt_name,
       prompt_version = excluded.prompt_version, prompt_sha256 = excluded.prompt_sha256,
       prompt = excluded.prompt, passages = excluded.passages, raw_answer = excluded.raw_answer,
       model = excluded.model, usage = excluded.usage, stages = excluded.stages,
       first_token_ms = excluded.first_token_ms, total_ms = excluded.total_ms,
       outcome = excluded.outcome, retrieval = excluded.retrieval, support = excluded.support,
       created_at = now()

-- get --
-- The log of a turn; stretches of the conversation that it only refers to are written out.
select run_id, thread_id, intent, query, prompt_name, prompt_version, prompt_sha256,
       (select coalesce(jsonb_agg(case when m.seq is null then sent
                   else jsonb_build_object('role', m.role, 'content', m.content, 'seq', m.seq) end
                   order by place, m.seq), '[]')
          from jsonb_array_elements(prompt) with ordinality as p (sent, place)
          left join messages m on m.thread_id = turns.thread_id
           and m.seq between (sent ->> 'first_seq')::int and (sent ->> 'last_seq')::int) as prompt,
       passages, raw_answer, model, usage, stages, first_token_ms, total_ms, outcome, created_at,
       retrieval, support
  from turns where run_id = %(run_id)s
