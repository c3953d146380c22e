-- list_after --
-- The messages of a thread from a place on, oldest first.
select message_id, thread_id, seq, run_id, role, content, citations, abstained, created_at
  from messages where thread_id = %(thread_id)s and seq > %(after)s
 order by seq limit %(limit)s

-- window --
-- The last messages before a question, newest first, and answers that came while it waited.
select message_id, thread_id, seq, run_id, role, content, citations, abstained, created_at, taint
  from messages
 where thread_id = %(thread_id)s and (seq < %(before)s or seq > %(before)s and role = 'assistant')
 order by seq desc limit %(limit)s
