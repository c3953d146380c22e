-- The keyword index in two parts: fresh words, one row a chunk, written with the chunk; and
-- packed segments, which hold one row a lexeme and are made of them by merging.
-- docs/decisions/0011 has the reasons.

-- Names versions of a chunk's words: what a merge has read is told from what came since.
create sequence keyword_entries;

-- Words that no segment holds yet. Whoever writes the chunk owns the row.
create table keyword_fresh (
    tenant_id text    not null,
    entry_id  bigint  not null default nextval('keyword_entries'),
    chunk_id  bigint  not null,
    words     integer not null,  -- length in lexemes
    lexemes   jsonb   not null,  -- lexeme -> how many times
    primary key (tenant_id, entry_id)
);
create unique index keyword_fresh_by_chunk on keyword_fresh (tenant_id, chunk_id);
-- Inline and not compressed: a search looks into every row.
alter table keyword_fresh alter column lexemes set storage external;
alter table keyword_fresh set (toast_tuple_target = 8160);

-- Chunks that are gone and that a segment may still hold.
create table keyword_tombstones (
    tenant_id text   not null,
    entry_id  bigint not null default nextval('keyword_entries'),
    chunk_id  bigint not null,
    primary key (tenant_id, entry_id)
);

-- A segment numbers its chunks from 0, in the order of their ids. Only merges write these.
create table keyword_segments (
    tenant_id  text    not null,
    segment_id bigint  not null,
    chunks     integer not null,  -- numbered, at most 65536
    alive      integer not null,  -- of them, those that were not gone at the last merge
    words      bigint  not null,  -- length of the alive ones in lexemes
    ids        bytea   not null,  -- number -> chunk_id, as runs; knowledge/postings.py has the forms
    lengths    bytea   not null,  -- number -> length in lexemes
    dead       bytea,             -- one bit a number; null: all are alive
    primary key (tenant_id, segment_id)
);
alter table keyword_segments alter column ids set storage external,
                             alter column lengths set storage external;

create table keyword_postings (
    tenant_id  text    not null,
    segment_id bigint  not null,
    lexeme     text    not null collate "C",
    chunks     integer not null,  -- with the lexeme, dead ones included
    dense      boolean not null,
    packed     bytea   not null,
    primary key (tenant_id, segment_id, lexeme)
);
alter table keyword_postings alter column packed set storage external;

select protect('keyword_fresh');
select protect('keyword_tombstones');
select protect('keyword_segments');
select protect('keyword_postings');
grant usage on sequence keyword_entries to parley_app;

-- A chunk takes its words with it, whatever deletes it. The delete waits for a merge that is
-- about to pack the row, for milliseconds; then the row is gone, and the tombstone is due.
create function forget_keywords() returns trigger
language plpgsql set search_path = parley, pg_temp as $$
begin
    with fresh as (
        delete from keyword_fresh f using gone g
         where f.tenant_id = g.tenant_id and f.chunk_id = g.chunk_id
        returning f.tenant_id, f.chunk_id
    )
    insert into keyword_tombstones (tenant_id, chunk_id)
    select tenant_id, chunk_id from gone
    except
    select tenant_id, chunk_id from fresh;
    return null;
end
$$;
create trigger forget_keywords after delete on chunks
    referencing old table as gone
    for each statement execute function forget_keywords();

-- What was indexed stays so. An owner is subject to forced policies; not for this moment.
alter table documents no force row level security;
alter table chunks no force row level security;
alter table keyword_fresh no force row level security;
insert into keyword_fresh (tenant_id, chunk_id, words, lexemes)
select c.tenant_id, c.chunk_id, l.words, l.lexemes
  from chunks c
  join documents d using (tenant_id, document_id),
       lateral (
           select coalesce(sum(cardinality(positions)), 0) as words,
                  coalesce(jsonb_object_agg(lexeme, cardinality(positions)), '{}') as lexemes
             from unnest(to_tsvector('pg_catalog.english', translate(
                      concat_ws(E'\n', d.title, c.section, c.text), '/', ' ')))) l;
alter table documents force row level security;
alter table chunks force row level security;
alter table keyword_fresh force row level security;

drop table keywords;
alter table documents drop column words;
