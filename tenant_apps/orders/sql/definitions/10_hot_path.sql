-- The hot path of a sale. These run with the caller's own rights on the tables of the caller's own schema (SECURITY
-- INVOKER, the transaction's search_path); they are functions because Postgres keeps the plans of a function's statements
-- for the session, and planning cost more than running (measured: docs/money-path.md). What the main station has to allow
-- they ask of the gate functions, like any other statement of a shop.

-- Everything that a price and its limits are made of, as one JSON text: {"rows": [[…] a listing], "rules", "parents", "open",
-- "terms", "channels", "private": ids of those at the shop's own supply price}. One column, because a driver pays for each.
-- Numbers with places travel as texts. `private_terms` is asked of the row as JSON: a schema that `kameng migrate` has not
-- reached yet does not have the column, and has to go on selling.
DROP FUNCTION IF EXISTS gate.orders_read_shelves(bigint[], timestamptz);
CREATE FUNCTION gate.orders_read_shelves(p_skus bigint[], p_at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT json_build_object(
        'rows', (SELECT json_agg(json_build_array(l.id, l.product_id, l.code, l.name_zh, l.name_en, l.currency,
                l.supply_unit::text, l.suggested::text, l.floor::text, l.ceiling::text,
                l.active AND l.on_shelf AND p.active, p.category_id, p.slug, p.kind, p.delivery,
                coalesce(nullif(p.own_name, ''), p.name_zh), coalesce(nullif(p.own_name, ''), p.name_en),
                p.buyer_fields))
            FROM listings_listing l JOIN listings_listedproduct p ON p.id = l.product_id WHERE l.id = ANY (p_skus)),
        'rules', (SELECT json_agg(json_build_array(r.scope, r.target_id, r.kind, r.value::text, r.rounding))
            FROM listings_markuprule r
            WHERE r.scope IN ('SHOP', 'CATEGORY') OR (r.scope = 'SKU' AND r.target_id = ANY (p_skus))
               OR (r.scope = 'PRODUCT' AND r.target_id IN (SELECT x.product_id FROM listings_listing x
                                                          WHERE x.id = ANY (p_skus)))),
        'parents', (SELECT json_agg(json_build_array(c.id, c.parent_id)) FROM listings_listedcategory c
            WHERE EXISTS (SELECT 1 FROM listings_markuprule r WHERE r.scope = 'CATEGORY')),
        'open', (SELECT s.open FROM shop_shopsettings s WHERE s.id = 1),
        'terms', (SELECT t.terms FROM gate.sale_terms(p_at) t),
        'private', (SELECT json_agg(l.id) FROM listings_listing l
            WHERE l.id = ANY (p_skus) AND (to_jsonb(l) ->> 'private_terms')::boolean),
        'channels', (SELECT json_agg(json_build_array(c.account_id, c.channel)) FROM gate.channels() c)));
END
$$;
GRANT EXECUTE ON FUNCTION gate.orders_read_shelves(bigint[], timestamptz) TO kameng_tenant;

-- Write an order: through the gate first (prices of now, bounds, stock), then the order, its lines and its first step.
CREATE OR REPLACE FUNCTION gate.orders_place(
    p_number text, p_token bytea, p_lookup bytea, p_contact text, p_state text, p_currency text, p_total bigint,
    p_fields jsonb, p_language text, p_ip text, p_source text, p_at timestamptz, p_pay_by timestamptz,
    p_hold_until timestamptz, p_hint text, p_by_kind text, p_by_label text, p_gate_lines jsonb, p_lines jsonb)
RETURNS TABLE (order_id bigint, sku_id bigint, cost_minor bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    made bigint;
    skus bigint[];
    units numeric[];
    costs bigint[];
BEGIN
    SELECT array_agg(h.sku_id), array_agg(h.supply_unit), array_agg(h.cost_minor) INTO skus, units, costs
    FROM gate.place_order(p_number, p_gate_lines, p_total, p_currency, p_hint, p_at, p_hold_until) h;
    INSERT INTO orders_order AS o (number, token_digest, lookup_digest, contact, state, currency, total_minor, cost_minor,
        buyer_fields, language, ip, source, transfer_id, placed_at, expires_at, updated_at)
    VALUES (p_number, p_token, p_lookup, p_contact, p_state, p_currency, p_total,
        (SELECT sum(c) FROM unnest(costs) c), p_fields, p_language, p_ip, p_source, '', p_at, p_pay_by, p_at)
    RETURNING o.id INTO made;
    INSERT INTO orders_orderline (order_id, sku_id, sku_code, product_slug, name_zh, name_en, kind, delivery, quantity,
        unit, total_minor, supply_unit, cost_minor, stages, delivery_state, delivery_note)
    SELECT made, l.sku_id, l.sku_code, l.product_slug, l.name_zh, l.name_en, l.kind, l.delivery, l.quantity, l.unit,
        l.total_minor, h.unit, h.cost, l.stages, 'WAITING', ''
    FROM jsonb_to_recordset(p_lines) AS l(sku_id bigint, sku_code text, product_slug text, name_zh text, name_en text,
        kind text, delivery text, quantity integer, unit numeric, total_minor bigint, stages jsonb)
    JOIN unnest(skus, units, costs) AS h(sku, unit, cost) ON h.sku = l.sku_id;
    INSERT INTO orders_orderstep (order_id, at, subject, event, from_state, to_state, by_kind, by_label, note)
    VALUES (made, p_at, 'ORDER', 'PLACE', '', p_state, p_by_kind, p_by_label, '');
    RETURN QUERY SELECT made, h.sku, h.cost FROM unnest(skus, costs) AS h(sku, cost);
END
$$;
GRANT EXECUTE ON FUNCTION gate.orders_place(text, bytea, bytea, text, text, text, bigint, jsonb, text, text, text,
    timestamptz, timestamptz, timestamptz, text, text, text, jsonb, jsonb) TO kameng_tenant;

-- An order's row locked for its payment; its lines and the shop's terms beside it.
CREATE OR REPLACE FUNCTION gate.orders_lock_payable(p_number text, p_terms_at timestamptz)
RETURNS TABLE (id bigint, state text, total_minor bigint, currency text, lines json, substation_id bigint, rule integer,
    platform_bps integer, terms jsonb)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH o AS MATERIALIZED (
        SELECT x.id, x.state, x.total_minor, x.currency FROM orders_order x WHERE x.number = p_number FOR NO KEY UPDATE
    )
    SELECT o.id, o.state::text, o.total_minor, o.currency::text,
           (SELECT json_agg(json_build_object('delivery', l.delivery, 'total_minor', l.total_minor,
                                              'cost_minor', l.cost_minor) ORDER BY l.id)
            FROM orders_orderline l WHERE l.order_id = o.id),
           t.substation_id, t.rule, t.platform_bps, t.terms
    FROM o CROSS JOIN gate.sale_terms(p_terms_at) t;
END
$$;
GRANT EXECUTE ON FUNCTION gate.orders_lock_payable(text, timestamptz) TO kameng_tenant;

-- The sale through the gate, then the order, its lines, every step, and the work that follows from it. The order moves
-- only out of the states that its event may leave (KG028), so nothing is paid twice even without the lock.
CREATE OR REPLACE FUNCTION gate.orders_settle(
    p_number text, p_order bigint, p_receipt text, p_codes text[], p_amounts bigint[], p_rule integer, p_earned bigint,
    p_at timestamptz, p_event text, p_sources text[], p_from text, p_paid text, p_final text, p_line_sources text[],
    p_by_kind text, p_by_label text, p_note text, p_jobs text[])
RETURNS TABLE (transfer_id text, job_ids bigint[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    transfer text;
BEGIN
    SELECT s.transfer_public_id INTO STRICT transfer
    FROM gate.settle_sale(p_number, p_receipt, p_codes, p_amounts, p_rule, p_final, p_at) s;
    UPDATE orders_order o SET state = p_final, paid_at = p_at, updated_at = p_at, transfer_id = transfer,
        earned_minor = p_earned, delivered_at = CASE WHEN p_final <> p_paid THEN p_at END
    WHERE o.id = p_order AND o.state = ANY (p_sources);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the order is in another state' USING ERRCODE = 'KG028', DETAIL = p_number;
    END IF;
    WITH lines AS (
        UPDATE orders_orderline l
        SET delivery_state = CASE l.delivery WHEN 'CODES' THEN 'DELIVERED' ELSE 'QUEUED' END,
            delivered_at = CASE l.delivery WHEN 'CODES' THEN p_at END
        WHERE l.order_id = p_order AND l.delivery_state = ANY (p_line_sources)
        RETURNING l.delivery_state, left(l.name_zh || ' × ' || l.quantity, 300) AS note
    )
    INSERT INTO orders_orderstep (order_id, at, subject, event, from_state, to_state, by_kind, by_label, note)
    SELECT p_order, p_at, 'ORDER', p_event, p_from, p_paid, p_by_kind, p_by_label, p_note
    UNION ALL
    SELECT p_order, p_at, 'DELIVERY', CASE l.delivery_state WHEN 'DELIVERED' THEN 'DELIVER' ELSE 'QUEUE' END, 'WAITING',
        l.delivery_state, p_by_kind, p_by_label, l.note FROM lines l
    UNION ALL
    SELECT p_order, p_at, 'ORDER', 'DELIVER', p_paid, p_final, p_by_kind, p_by_label, '' WHERE p_final <> p_paid;
    transfer_id := transfer;
    SELECT array_agg(gate.enqueue(kind, jsonb_build_object('order_number', p_number), p_at, p_number)) INTO job_ids
    FROM unnest(p_jobs) kind;
    RETURN NEXT;
END
$$;
GRANT EXECUTE ON FUNCTION gate.orders_settle(text, bigint, text, text[], bigint[], integer, bigint, timestamptz, text,
    text[], text, text, text, text[], text, text, text, text[]) TO kameng_tenant;
