-- A chunk that was embedded before, in this document or in another, is not embedded again.

create index chunks_by_digest on chunks (tenant_id, digest);
