-- spend --
-- Counts the questions to models of an attempt that this lease has ended, each once however often
-- this is sent; adds them to the budgets, and tells which share of one they have reached.
with call as (
    insert into spending (tenant_id, run_id, number, day, user_id, thread_id, model, task,
                          prompt_tokens, completion_tokens, usd)
    select r.tenant_id, r.run_id, c.number, (now() at time zone 'UTC')::date, r.user_id,
           r.thread_id, c.model, c.task, c.prompt_tokens, c.completion_tokens, c.usd
      from runs r,
           unnest(%(models)s::text[], %(tasks)s::text[], %(prompt_tokens)s::integer[],
                  %(completion_tokens)s::integer[], %(usd)s::numeric[])
           with ordinality as c (model, task, prompt_tokens, completion_tokens, usd, number)
     where r.run_id = %(run_id)s and r.lease_token = %(lease_token)s and r.status <> 'running'
    on conflict do nothing
    returning number, user_id, thread_id, usd
), spent as (
    select user_id, thread_id, sum(usd) as usd from call
     group by user_id, thread_id having sum(usd) > 0
), budget as (
    select b.place, b.scope, b.per, b.usd as limit_usd, s.usd,
           case b.scope when 'tenant' then '' when 'user' then s.user_id
                        else s.thread_id::text end as subject,
           date_trunc(b.per, now() at time zone 'UTC')::date as starts
      from spent s,
           unnest(%(scopes)s::text[], %(pers)s::text[], %(limits)s::numeric[])
           with ordinality as b (scope, per, usd, place)
), counted as (
    -- A budget that was set in the middle of a period begins with what was spent before.
    select b.*, b.usd + case
               when exists (select from budget_periods p
                             where p.scope = b.scope and p.subject = b.subject
                               and p.per = b.per and p.starts = b.starts) then 0
               else spent_since(b.scope, b.subject, b.starts) end as total
      from budget b
), period as (
    insert into budget_periods as p (tenant_id, scope, subject, per, starts, usd, limit_usd,
                                     reached, reached_before)
    select %(tenant_id)s, c.scope, c.subject, c.per, c.starts, c.total, c.limit_usd,
           share_reached(c.total, c.limit_usd), 0
      from counted c order by c.place
    on conflict (tenant_id, scope, subject, per, starts) do update
       set usd = p.usd + (select s.usd from spent s),
           limit_usd = excluded.limit_usd,
           reached = greatest(p.reached, share_reached(p.usd + (select s.usd from spent s),
                                                       excluded.limit_usd)),
           reached_before = p.reached
    returning scope, subject, per, starts, usd, limit_usd, reached, reached_before
), told as (
    insert into notices (tenant_id, kind, body)
    select %(tenant_id)s, 'budget.reached',
           jsonb_build_object(
               'percent', t.percent, 'scope', p.scope,
               'user_id', case p.scope when 'user' then p.subject end,
               'thread_id', case p.scope when 'thread' then p.subject end,
               'per', p.per, 'starts', p.starts, 'spent_usd', p.usd, 'limit_usd', p.limit_usd)
      from period p, unnest(array[50, 80, 100]) as t (percent)
     where t.percent > p.reached_before and t.percent <= p.reached
    returning body, pg_notify('notices', '')
)
select array(select number from call order by number),
       array(select body from told order by (body ->> 'percent')::integer)

-- left --
-- What the tightest of these budgets has left, in USD.
select min(b.usd - coalesce(
           (select p.usd from budget_periods p
             where p.scope = b.scope and p.subject = b.subject and p.per = b.per
               and p.starts = b.starts),
           spent_since(b.scope, b.subject, b.starts)))
  from (select w.scope, w.per, w.usd,
               case w.scope when 'tenant' then '' when 'user' then %(user_id)s::text
                            else %(thread_id)s::text end as subject,
               date_trunc(w.per, now() at time zone 'UTC')::date as starts
          from unnest(%(scopes)s::text[], %(pers)s::text[], %(limits)s::numeric[])
               as w (scope, per, usd)) as b

-- usage --
-- What was spent within these days, by day, user or model; the most expensive first but for days.
select case %(by)s when 'day' then day::text when 'user' then user_id when 'model' then model
                   else '' end as key,
       count(*)::integer as calls, sum(prompt_tokens)::bigint as prompt_tokens,
       sum(completion_tokens)::bigint as completion_tokens, sum(usd)::double precision as cost_usd
  from spending
 where day between %(since)s and %(until)s
   and (%(user_id)s::text is null or user_id = %(user_id)s)
 group by key
 order by case %(by)s when 'day' then 0 else sum(usd) end desc, key
 limit %(limit)s
