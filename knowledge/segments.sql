-- try_lock --
-- Becomes the one that merges for this tenant, until the transaction ends; false: another one is.
select pg_try_advisory_xact_lock(hashtextextended(%(tenant_id)s, 7092346011))

-- pending --
-- Tells how many chunks wait to be packed, looking no further than `most`, and whether there
-- are tombstones.
select (select count(*) from (select from keyword_fresh where tenant_id = %(tenant_id)s
                               limit %(most)s) f),
       exists (select from keyword_tombstones where tenant_id = %(tenant_id)s)

-- fresh --
-- Returns the oldest fresh chunks. Read before the tombstones: who replaced a chunk's words
-- buried the old ones first, so that grave is seen as well.
select entry_id, chunk_id, words, lexemes::text from keyword_fresh
 where tenant_id = %(tenant_id)s order by entry_id limit %(most)s

-- tombstones --
-- Returns all tombstones.
select entry_id, chunk_id from keyword_tombstones where tenant_id = %(tenant_id)s

-- segments --
-- Returns the segments without their postings.
select segment_id, chunks, alive, words, ids, lengths, dead from keyword_segments
 where tenant_id = %(tenant_id)s

-- postings --
-- Returns the postings of one segment.
select lexeme, chunks, dense, packed from keyword_postings
 where tenant_id = %(tenant_id)s and segment_id = %(segment_id)s

-- name --
-- Returns a name for a new segment.
select nextval('keyword_entries')

-- write --
-- Inserts postings of a segment that nobody sees before this transaction ends.
insert into keyword_postings (tenant_id, segment_id, lexeme, chunks, dense, packed)
select %(tenant_id)s, %(segment_id)s, p.*
  from unnest(%(lexemes)s::text[], %(chunks)s::integer[], %(dense)s::boolean[],
              %(packed)b::bytea[]) p

-- unpack --
-- Deletes the postings of segments whose living chunks are in a new one.
delete from keyword_postings
 where tenant_id = %(tenant_id)s and segment_id = any(%(segment_ids)s)

-- retire --
-- Deletes segments whose living chunks are in a new one.
delete from keyword_segments
 where tenant_id = %(tenant_id)s and segment_id = any(%(segment_ids)s)

-- take --
-- Takes over the fresh rows that are still there and that nobody is deleting; waits for no one.
with mine as materialized (
    select entry_id from keyword_fresh
     where tenant_id = %(tenant_id)s and entry_id = any(%(entry_ids)s)
       for update skip locked
)
delete from keyword_fresh
 where tenant_id = %(tenant_id)s and entry_id in (select entry_id from mine)
returning entry_id

-- publish --
-- Lets searches see a segment.
insert into keyword_segments (tenant_id, segment_id, chunks, alive, words, ids, lengths, dead)
values (%(tenant_id)s, %(segment_id)s, %(chunks)s, %(alive)s, %(words)s, %(ids)s, %(lengths)s,
        %(dead)s)

-- bury --
-- Notes which chunks of a segment are gone.
update keyword_segments
   set alive = %(alive)s, words = %(words)s, dead = %(dead)s
 where tenant_id = %(tenant_id)s and segment_id = %(segment_id)s

-- forget_tombstones --
-- Deletes tombstones whose chunks are marked in their segments, or were in none.
delete from keyword_tombstones
 where tenant_id = %(tenant_id)s and entry_id = any(%(entry_ids)s)
