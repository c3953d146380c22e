-- What the turn log knows about how an answer came about, beyond its prompt.

alter table turns
    add column retrieval jsonb not null default '{}',  -- queries, rounds, what was assembled
    add column support   jsonb not null default '[]';  -- each checked sentence: verdict and why
