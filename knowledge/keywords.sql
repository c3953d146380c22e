-- index --
-- Writes the postings of a document's chunks and the document's length in lexemes.
with lexemes as materialized (
    select c.chunk_id, l.lexeme, cardinality(l.positions) as count,
           sum(cardinality(l.positions)) over (partition by c.chunk_id) as length
      from chunks c
      join documents d using (tenant_id, document_id),
           unnest(to_tsvector('pg_catalog.english', translate(
               concat_ws(E'\n', d.title, c.section, c.text), '/', ' '))) l
     where c.tenant_id = %(tenant_id)s and c.document_id = %(document_id)s
), posted as (
    insert into keywords (tenant_id, lexeme, document_id, postings)
    select %(tenant_id)s, lexeme, %(document_id)s,
           string_agg(int8send(chunk_id) || int2send(count::int2) || int4send(length::int4), ''
                      order by chunk_id)
      from lexemes group by lexeme
)
update documents set words = (select coalesce(sum(count), 0) from lexemes)
 where tenant_id = %(tenant_id)s and document_id = %(document_id)s

-- drop --
-- Deletes the postings of a document.
delete from keywords where tenant_id = %(tenant_id)s and document_id = %(document_id)s

-- totals --
-- Counts the tenant's chunks and their lexemes.
select coalesce(sum(chunks), 0)::bigint, coalesce(sum(words), 0)::bigint
  from documents where tenant_id = %(tenant_id)s

-- postings --
-- Returns the postings of each lexeme of a question, one row a lexeme.
select string_agg(k.postings, '')
  from unnest(to_tsvector('pg_catalog.english', translate(%(query)s, '/', ' '))) l
  join keywords k on k.tenant_id = %(tenant_id)s and k.lexeme = l.lexeme
 group by l.lexeme
