-- horizon --
-- The oldest transaction that may still be running: what is older, a search from now on sees.
select pg_snapshot_xmin(pg_current_snapshot())::text

-- find --
-- Living answers to a question, the same question first, then by how near theirs are in meaning.
-- Dead is one that expired, that rests on a document which changed, went, or must not be read
-- by this reader, and one beside which this reader has something as near that it did not know.
select n.answer_id, n.question, n.exact, n.cosine, n.turn,
       extract(epoch from now() - n.created_at)::real as age_seconds
  from (select a.*, a.key = %(key)s as exact, -(a.embedding <#> %(vector)s) as cosine
          from answers a
         where a.tenant_id = %(tenant_id)s
           and (%(lasting)s or a.policy = %(policy)s and a.expires_at > now())
           and a.horizon <= pg_snapshot_xmin(pg_current_snapshot())
           and (a.key = %(key)s or -(a.embedding <#> %(vector)s) >= %(similarity)s)
         order by exact desc, cosine desc, a.created_at desc
         limit %(limit)s) n,
       lateral (
        select coalesce(sum(s.chunks), 0) as chunks, array_agg(s.document_id) as documents
          from (select d.document_id, d.chunks from documents d
                 where d.tenant_id = n.tenant_id and d.written >= n.horizon
                   and d.document_id <> all(n.documents)
                   and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
                 union
                select d.document_id, d.chunks from documents d
                 where d.tenant_id = n.tenant_id and (d.owners <> '{}' or d.groups <> '{}')
                   and (n.reader, n.member_of)
                       is distinct from (%(reader)s::text, %(member_of)s::text[])
                   and d.document_id <> all(n.documents)
                   and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
                   and not readable(d.owners, d.groups, n.reader, n.member_of)) s) unknown
 where not exists (
           select from unnest(n.documents, n.versions) r (document_id, version)
             left join documents d on d.tenant_id = n.tenant_id and d.document_id = r.document_id
            where d.version is distinct from r.version
               or not readable(d.owners, d.groups, %(reader)s, %(member_of)s))
   and unknown.chunks <= %(most_unknown)s
   and not exists (
           select from chunks c
            where c.tenant_id = n.tenant_id and c.document_id = any(unknown.documents)
              and -(c.embedding <#> n.embedding) >= n.nearest)
 order by n.exact desc, n.cosine desc

-- use --
-- Counts a hit.
update answers set hits = hits + 1, used_at = now()
 where tenant_id = %(tenant_id)s and answer_id = %(answer_id)s

-- store --
-- Keeps an answer, unless one of its documents may have changed since it was read.
insert into answers (tenant_id, policy, key, reader, member_of, question, embedding, turn,
                     documents, versions, nearest, horizon, expires_at)
select %(tenant_id)s, %(policy)s, %(key)s, %(reader)s, %(member_of)s, %(question)s, %(vector)s,
       %(turn)s, array_agg(d.document_id), array_agg(d.version), %(nearest)s, %(horizon)s::xid8,
       now() + make_interval(secs => %(ttl_seconds)s)
  from documents d
 where d.tenant_id = %(tenant_id)s and d.document_id = any(%(documents)s::uuid[])
   and d.written < %(horizon)s::xid8
having count(*) = cardinality(%(documents)s::uuid[])
on conflict (tenant_id, policy, key, reader) do update
   set member_of = excluded.member_of, question = excluded.question,
       embedding = excluded.embedding, turn = excluded.turn, documents = excluded.documents,
       versions = excluded.versions, nearest = excluded.nearest, horizon = excluded.horizon,
       hits = 0, created_at = now(), used_at = now(), expires_at = excluded.expires_at
returning answer_id

-- sweep --
-- Deletes what expired and what was used longest ago, beyond so many of a tenant.
with old as (
    select answer_id from answers where tenant_id = %(tenant_id)s
     order by used_at desc offset %(entries)s
), gone as (
    select answer_id from answers
     where tenant_id = %(tenant_id)s
       and (expires_at <= now() or answer_id in (select answer_id from old))
       for update skip locked
)
delete from answers
 where tenant_id = %(tenant_id)s and answer_id in (select answer_id from gone)
