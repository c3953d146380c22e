-- save --
-- Stores the log of a turn, in place of what an earlier attempt may have stored.
insert into turns (tenant_id, run_id, thread_id, intent, query, prompt_name, prompt_version,
                   prompt_sha256, prompt, passages, raw_answer, model, usage, stages,
                   first_token_ms, total_ms, outcome, retrieval, support, actions)
values (%(tenant_id)s, %(run_id)s, %(thread_id)s, %(intent)s, %(query)s, %(prompt_name)s,
        %(prompt_version)s, %(prompt_sha256)s, %(prompt)s, %(passages)s, %(raw_answer)s, %(model)s,
        %(usage)s, %(stages)s, %(first_token_ms)s, %(total_ms)s, %(outcome)s,
        %(retrieval)s, %(support)s, nullif(%(actions)s::jsonb, '[]'))
on conflict (run_id) do update
   set intent = excluded.intent, query = excluded.query, prompt_name = excluded.prompt_name,
       prompt_version = excluded.prompt_version, prompt_sha256 = excluded.prompt_sha256,
       prompt = excluded.prompt, passages = excluded.passages, raw_answer = excluded.raw_answer,
       model = excluded.model, usage = excluded.usage, stages = excluded.stages,
       first_token_ms = excluded.first_token_ms, total_ms = excluded.total_ms,
       outcome = excluded.outcome, retrieval = excluded.retrieval, support = excluded.support, actions = excluded.actions,
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
       retrieval, support, coalesce(actions, '[]') as actions
  from turns where run_id = %(run_id)s
