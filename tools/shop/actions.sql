-- claim --
-- Takes a key; nothing comes back when it was taken before. Waits for whoever is taking it.
insert into shop_actions (tenant_id, key, action, arguments, acted_by)
values (%(tenant_id)s, %(key)s, %(action)s, %(arguments)s, %(acted_by)s)
on conflict (tenant_id, key) do nothing
returning key

-- done --
-- What came of the key before, and whether it stood for the same.
select result, action = %(action)s and arguments = %(arguments)s as same
  from shop_actions
 where tenant_id = %(tenant_id)s and key = %(key)s

-- finish --
-- Notes what was told.
update shop_actions set result = %(result)s
 where tenant_id = %(tenant_id)s and key = %(key)s

-- lock --
-- Keeps everybody else from changing an order until the transaction ends.
select from orders where tenant_id = %(tenant_id)s and order_id = %(order_id)s for update

-- refund --
-- Gives money back.
insert into refunds (tenant_id, order_id, cents, reason, refunded_by)
values (%(tenant_id)s, %(order_id)s, %(cents)s, %(reason)s, %(user_id)s)

-- cancel --
-- Ends an order.
update orders set status = 'cancelled', cancelled_at = now(), cancel_reason = %(reason)s
 where tenant_id = %(tenant_id)s and order_id = %(order_id)s

-- change_address --
-- Sends an order elsewhere.
update orders set address = %(address)s
 where tenant_id = %(tenant_id)s and order_id = %(order_id)s

-- open_ticket --
-- Asks a person to look at something.
insert into tickets (tenant_id, order_id, subject, body, opened_by)
values (%(tenant_id)s, %(order_id)s, %(subject)s, %(body)s, %(user_id)s)
returning ticket_id
