-- create --
-- Begins a thread.
insert into threads (tenant_id, thread_id, user_id, title, metadata)
values (%(tenant_id)s, %(thread_id)s, %(user_id)s, %(title)s, %(metadata)s)
returning thread_id, user_id, title, metadata, last_seq as messages, created_at, updated_at

-- get --
-- One thread.
select thread_id, user_id, title, metadata, last_seq as messages, created_at, updated_at
  from threads where thread_id = %(thread_id)s

-- list_recent --
-- The threads of a user, last used first.
select thread_id, user_id, title, metadata, last_seq as messages, created_at, updated_at
  from threads where user_id = %(user_id)s
 order by updated_at desc, thread_id desc limit %(limit)s

-- list_before --
-- The threads of a user that were last used before a certain one, last used first.
select thread_id, user_id, title, metadata, last_seq as messages, created_at, updated_at
  from threads
 where user_id = %(user_id)s and (updated_at, thread_id) < (%(at)s, %(thread_id)s)
 order by updated_at desc, thread_id desc limit %(limit)s

-- update --
-- Changes what is given. It does not count as use: the thread keeps its place in the list.
update threads
   set title = coalesce(%(title)s, title), metadata = coalesce(%(metadata)s, metadata)
 where thread_id = %(thread_id)s
returning thread_id, user_id, title, metadata, last_seq as messages, created_at, updated_at

-- delete_checkpoints --
-- Deletes what runs of the thread left in the checkpointer's tables, which know no references.
delete from checkpoints
 where thread_id in (select run_id::text from runs where thread_id = %(thread_id)s)

-- delete_checkpoint_blobs --
-- The same for values.
delete from checkpoint_blobs
 where thread_id in (select run_id::text from runs where thread_id = %(thread_id)s)

-- delete_checkpoint_writes --
-- The same for pending writes.
delete from checkpoint_writes
 where thread_id in (select run_id::text from runs where thread_id = %(thread_id)s)

-- delete --
-- Deletes a thread; runs, messages, events and turns go with it.
delete from threads where thread_id = %(thread_id)s
