-- get --
-- One order with its sums.
select o.order_id, o.customer, o.status, o.currency, o.address, o.placed_at, o.shipped_at,
       o.delivered_at, o.cancelled_at, o.cancel_reason,
       coalesce((select sum(l.quantity * l.unit_cents)::bigint from order_lines l
                  where l.tenant_id = o.tenant_id and l.order_id = o.order_id), 0) as total_cents,
       coalesce((select sum(r.cents)::bigint from refunds r
                  where r.tenant_id = o.tenant_id and r.order_id = o.order_id), 0) as refunded_cents
  from orders o
 where o.tenant_id = %(tenant_id)s and o.order_id = %(order_id)s

-- lines --
-- What an order consists of.
select line, article, quantity, unit_cents
  from order_lines
 where tenant_id = %(tenant_id)s and order_id = %(order_id)s
 order by line

-- list --
-- The newest orders, of one customer or status where given.
select o.order_id, o.customer, o.status, o.currency, o.placed_at,
       coalesce((select sum(l.quantity * l.unit_cents)::bigint from order_lines l
                  where l.tenant_id = o.tenant_id and l.order_id = o.order_id), 0) as total_cents
  from orders o
 where o.tenant_id = %(tenant_id)s
   and (%(status)s::text is null or o.status = %(status)s)
   and (%(customer)s::text is null or position(lower(%(customer)s) in lower(o.customer)) > 0)
 order by o.placed_at desc, o.order_id
 limit %(limit)s
