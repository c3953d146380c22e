-- A small shop, to show what acting means: orders, their lines, refunds, tickets.
-- Amounts are integer cents. `shop_actions` makes an action with one key happen once.

create table orders (
    tenant_id     text        not null,
    order_id      text        not null,               -- as people say it: A-1001
    customer      text        not null,
    status        text        not null check (status in ('placed', 'shipped', 'delivered', 'cancelled')),
    currency      text        not null default 'EUR',
    address       text        not null,
    placed_at     timestamptz not null,
    shipped_at    timestamptz,
    delivered_at  timestamptz,
    cancelled_at  timestamptz,
    cancel_reason text,
    primary key (tenant_id, order_id)
);
create index orders_by_time on orders (tenant_id, placed_at desc, order_id);

create table order_lines (
    tenant_id  text    not null,
    order_id   text    not null,
    line       integer not null,
    article    text    not null,
    quantity   integer not null check (quantity > 0),
    unit_cents bigint  not null check (unit_cents >= 0),
    primary key (tenant_id, order_id, line),
    foreign key (tenant_id, order_id) references orders on delete cascade
);

create table refunds (
    tenant_id   text        not null,
    refund_id   uuid        not null default gen_random_uuid(),
    order_id    text        not null,
    cents       bigint      not null check (cents > 0),
    reason      text        not null,
    refunded_by text        not null,
    refunded_at timestamptz not null default now(),
    primary key (tenant_id, refund_id),
    foreign key (tenant_id, order_id) references orders on delete cascade
);
create index refunds_by_order on refunds (tenant_id, order_id);

create table tickets (
    tenant_id text        not null,
    ticket_id uuid        not null default gen_random_uuid(),
    order_id  text,
    subject   text        not null,
    body      text        not null,
    status    text        not null default 'open' check (status in ('open', 'closed')),
    opened_by text        not null,
    opened_at timestamptz not null default now(),
    primary key (tenant_id, ticket_id),
    foreign key (tenant_id, order_id) references orders on delete cascade
);
create index tickets_by_order on tickets (tenant_id, order_id);

create table shop_actions (
    tenant_id text        not null,
    key       text        not null,                   -- the idempotency key of the call
    action    text        not null,
    arguments jsonb       not null,
    result    text        not null default '',        -- what was told, and is told again
    acted_by  text        not null,
    acted_at  timestamptz not null default now(),
    primary key (tenant_id, key)
);

select protect('orders');
select protect('order_lines');
select protect('refunds');
select protect('tickets');
select protect('shop_actions');
