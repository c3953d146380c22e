-- list_after --
-- The messages of a thread from a place on, oldest first.
select message_id, thread_id, seq, run_id, role, content, citations, abstained, created_at
  from messages where thread_id = %(thread_id)s and seq > %(after)s
 order by seq limit %(limit)s

-- window --
-- The last messages before a question, newest first; answers to earlier ones that came since too.
select run_id, seq, role, content, citations, taint
  from messages m
 where thread_id = %(thread_id)s
   and (seq < %(before)s
        or role = 'assistant' and exists (
            select from messages q
             where q.run_id = m.run_id and q.role = 'user' and q.seq < %(before)s))
 order by seq desc limit %(limit)s
