-- index --
-- Writes the words of a document's chunks: all of them, or those given.
insert into keyword_fresh (tenant_id, chunk_id, words, lexemes)
select c.tenant_id, c.chunk_id, l.words, l.lexemes
  from chunks c
  join documents d using (tenant_id, document_id),
       lateral (
           select coalesce(sum(cardinality(positions)), 0) as words,
                  coalesce(jsonb_object_agg(lexeme, cardinality(positions)), '{}') as lexemes
             from unnest(to_tsvector('pg_catalog.english', translate(
                      concat_ws(E'\n', d.title, c.section, c.text), '/', ' ')))) l
 where c.tenant_id = %(tenant_id)s and c.document_id = %(document_id)s
   and (%(chunk_ids)s::bigint[] is null or c.chunk_id = any(%(chunk_ids)s::bigint[]))

-- drop --
-- Forgets the words of a document's chunks: all of them, or those given.
with gone as (
    select chunk_id from chunks
     where tenant_id = %(tenant_id)s and document_id = %(document_id)s
       and (%(chunk_ids)s::bigint[] is null or chunk_id = any(%(chunk_ids)s::bigint[]))
), fresh as (
    delete from keyword_fresh
     where tenant_id = %(tenant_id)s and chunk_id in (select chunk_id from gone)
    returning chunk_id
)
insert into keyword_tombstones (tenant_id, chunk_id)
select %(tenant_id)s, chunk_id from gone
except
select %(tenant_id)s, chunk_id from fresh

-- read --
-- Returns all that a question needs, in one statement, because merges go on meanwhile: each
-- row is of a kind, 0 totals of what is fresh and the tombstones, 1 a segment, 2 the postings
-- of a lexeme in a segment, 3 the fresh ones of a lexeme. No rows of kind 2 and 3: no hit.
with words as materialized (
    select row_number() over (order by lexeme) - 1 as word, lexeme
      from unnest(to_tsvector('pg_catalog.english', translate(%(query)s, '/', ' ')))
), segments as materialized (
    select segment_id, chunks, alive, words, ids, lengths, dead
      from keyword_segments where tenant_id = %(tenant_id)s
), lists as materialized (
    -- offset 0: one look into the index for each pair, whatever the planner believes
    select w.word, s.segment_id, p.chunks, p.dense, p.packed
      from segments s, words w,
           lateral (select chunks, dense, packed from keyword_postings
                     where tenant_id = %(tenant_id)s and segment_id = s.segment_id
                       and lexeme = w.lexeme
                    offset 0) p
), fresh as materialized (
    select chunk_id, words, lexemes from keyword_fresh where tenant_id = %(tenant_id)s
), tombstones as materialized (
    select string_agg(int8send(chunk_id), '') as ids
      from keyword_tombstones where tenant_id = %(tenant_id)s
)
select 0 as kind, null::bigint as segment_id, null::bigint as word, count(*)::integer as chunks,
       null::integer as alive, coalesce(sum(words), 0)::bigint as words, null::boolean as dense,
       (select ids from tombstones) as packed, null::bytea as lengths, null::bytea as dead
  from fresh
union all
select 1, segment_id, null, chunks, alive, words, null, ids,
       case when (select ids is not null from tombstones)
                 or exists (select from lists l where l.segment_id = s.segment_id and l.dense)
            then lengths end,
       dead
  from segments s
union all
select 2, segment_id, word, chunks, null, null, dense, packed, null, null
  from lists
union all
select 3, null, w.word, null, null, null, null,
       string_agg(int8send(f.chunk_id) || int2send(c.count::int2) || int4send(f.words), ''), null, null
  from fresh f, words w,
       lateral (select (f.lexemes -> w.lexeme)::integer as count offset 0) c
 where c.count is not null
 group by w.word

-- permitted --
-- Returns those of the chunks that a filter lets through. Written as look-ups one after the
-- other: planned without the values, a join reads all documents for each of the partitions.
select c.chunk_id
  from unnest(%(chunk_ids)s::bigint[]) a (chunk_id),
       lateral (select chunk_id, document_id from chunks
                 where tenant_id = %(tenant_id)s and chunk_id = a.chunk_id
                offset 0) c,
       lateral (select from documents d
                 where d.tenant_id = %(tenant_id)s and d.document_id = c.document_id
                   and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
                   and d.labels @> %(labels)s and starts_with(d.uri, %(under)s)
                offset 0) d

-- few_permitted --
-- Returns all chunks that a filter lets through, 8 bytes big-endian each; null when they are
-- more than `most` or in more than so many documents, of which no more are looked at.
with d as materialized (
    select document_id, chunks from documents d
     where d.tenant_id = %(tenant_id)s
       and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
       and d.labels @> %(labels)s and starts_with(d.uri, %(under)s)
     limit %(documents)s::bigint + 1
)
select case when (select coalesce(sum(chunks), 0) <= %(most)s and count(*) <= %(documents)s from d)
       then (select coalesce(string_agg(int8send(c.chunk_id), ''), '')
               from d, lateral (select chunk_id from chunks
                                 where tenant_id = %(tenant_id)s and document_id = d.document_id
                                offset 0) c)
       end

-- all_permitted --
-- Returns all chunks that a filter lets through, 8 bytes big-endian each.
select coalesce(string_agg(int8send(c.chunk_id), ''), '')
  from chunks c join documents d using (tenant_id, document_id)
 where c.tenant_id = %(tenant_id)s
   and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
   and d.labels @> %(labels)s and starts_with(d.uri, %(under)s)
