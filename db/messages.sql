-- list_after --
-- The messages of a thread from a place on, oldest first.
select message_id, thread_id, seq, run_id, role, content, citations, abstained, created_at
  from messages where thread_id = %(thread_id)s and seq > %(after)s
 order by seq limit %(limit)s

-- window --
-- The last messages before a place, newest first.
select role, content, seq
  from messages where thread_id = %(thread_id)s and seq < %(before)s
 order by seq desc limit %(limit)s
