-- Who may read a document, which version of it this is, and what its chunks are reranked by.

create sequence document_versions;

alter table documents
    add column owners      text[] not null default '{}',  -- user ids
    add column groups      text[] not null default '{}',
    add column labels      text[] not null default '{}',  -- to narrow a search; they protect nothing
    add column modified_at timestamptz,                    -- of the content, as the file says
    -- Changes with everything that could change an answer: content, chunks, access.
    add column version     bigint not null default nextval('document_versions');

alter table chunks
    add column digest bytea,  -- of what was embedded: a chunk that stays the same keeps its vectors
    add column late   bytea;  -- vectors of its tokens, small; knowledge/late.py has the form
-- Out of line and as it is: a search reads it for twenty chunks, and it does not compress.
alter table chunks alter column late set storage external;

create index documents_by_label on documents using gin (labels);

-- A document that names nobody may be read by everyone of its tenant.
-- reader null: an operator's tool, which sees everything of the tenant.
create function readable(owners text[], groups text[], reader text, member_of text[])
returns boolean language sql immutable parallel safe
return reader is null
    or (owners = '{}' and groups = '{}')
    or reader = any (owners)
    or groups && member_of;

grant usage on sequence document_versions to parley_app;
