-- Logs take a third of the space: what nobody asks for by SQL is compressed JSON (db/packed.py).
-- Rows that were written before stay as they are, and are read as they are.

alter table run_events alter column events drop not null;
alter table run_events add column packed bytea;    -- [[seq, type, data], …]; instead of `events`
alter table turns add column packed bytea;         -- {prompt, passages, raw_answer, retrieval, support}
alter table run_events alter column packed set storage external;  -- compressed already
alter table turns alter column packed set storage external;

-- A turn changes its thread twice, the second time no indexed column. With room left on the page
-- the new version stands beside the old one, and the indexes stay as they are.
alter table threads set (fillfactor = 75);
