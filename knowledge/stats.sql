-- documents --
-- What there is of each kind and language.
select media_type, coalesce(language, '') as language, count(*)::integer as documents,
       coalesce(sum(chunks), 0)::bigint as chunks, coalesce(sum(tokens), 0)::bigint as tokens,
       coalesce(sum(bytes), 0)::bigint as bytes
  from documents
 where tenant_id = %(tenant_id)s
 group by 1, 2
 order by documents desc, media_type, language

-- sizes --
-- Bytes on disk of what a search reads, over all tenants; those of partitions together.
select coalesce(parent.relname, c.relname)::text as name,
       case c.relkind when 'i' then 'index' else 'table' end as kind,
       sum(pg_table_size(c.oid))::bigint as bytes
  from pg_class c
  left join pg_inherits i on i.inhrelid = c.oid
  left join pg_class parent on parent.oid = i.inhparent
 where c.relnamespace = 'parley'::regnamespace and c.relkind in ('r', 'i')
 group by 1, 2
having sum(pg_table_size(c.oid)) > 0
 order by bytes desc, name

-- keywords --
-- Segments of the keyword index, chunks in them and dead among them, and chunks not packed yet.
select (select count(*) from keyword_segments where tenant_id = %(tenant_id)s)::integer
           as segments,
       (select coalesce(sum(alive), 0) from keyword_segments where tenant_id = %(tenant_id)s)::bigint
           as packed,
       (select coalesce(sum(chunks - alive), 0) from keyword_segments
         where tenant_id = %(tenant_id)s)::bigint as dead,
       (select count(*) from keyword_fresh where tenant_id = %(tenant_id)s)::bigint as fresh

-- cached --
-- Answers kept for the same question asked again.
select count(*)::integer from answers where tenant_id = %(tenant_id)s
