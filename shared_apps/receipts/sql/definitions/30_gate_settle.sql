-- Post one sale: the only way from a channel's receipt to a shop's income. Everything that the caller hands over is
-- checked against what the main station knows itself: the receipt, the holds, the plan.
--
-- p_legs: [{"account": code, "amount_minor": signed, debit positive}], as shared_apps.splits makes them.
-- p_state: PAID, or DELIVERED where no line waits for a person.
-- KG024 no such receipt for this order, or used already; KG025 the receipt is not the order's total; KG026 the stock
-- is not held (any more); KG027 a leg that this sale may not have.
CREATE OR REPLACE FUNCTION gate.settle_sale(
    p_number text, p_receipt text, p_legs jsonb, p_state text, p_rule text, p_at timestamptz)
RETURNS TABLE (transfer_id bigint, transfer_public_id text, delivered integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    caller record;
    paid record;
    ordered record;
    source text;
    take bigint;
    held record;
    changed integer;
    sums record;
    posted record;
BEGIN
    SELECT s.id, pl.platform_fee_bps INTO caller
    FROM public.tenants_substation s JOIN public.tenants_plan pl ON pl.id = s.plan_id
    WHERE s.schema_name = current_setting('role');
    IF caller.id IS NULL THEN
        RAISE EXCEPTION 'Only a substation may call this.' USING ERRCODE = 'KG001';
    END IF;
    IF p_state NOT IN ('PAID', 'DELIVERED') THEN
        RAISE EXCEPTION 'A sale ends paid or delivered.' USING ERRCODE = 'KG025';
    END IF;

    -- The receipt: this order's, and not used for anything yet unless a person approved its case.
    SELECT r.id, r.channel, r.amount_minor, r.currency, r.fee_minor, r.used_for, r.occurred_at INTO paid
    FROM public.receipts_receipt r
    WHERE r.public_id = p_receipt AND r.substation_id = caller.id AND r.order_number = p_number AND r.kind = 'PAID'
    FOR UPDATE;
    IF paid.id IS NULL OR NOT (paid.used_for = '' OR (paid.used_for = 'CASE' AND EXISTS (
            SELECT 1 FROM public.receipts_paymentcase c
            WHERE c.receipt_id = paid.id AND c.state = 'SETTLING' AND c.resolution = 'DELIVER'))) THEN
        RAISE EXCEPTION 'no such receipt' USING ERRCODE = 'KG024', DETAIL = p_receipt;
    END IF;
    UPDATE public.receipts_networkorder o SET state = p_state, paid_at = p_at, updated_at = p_at
    WHERE o.substation_id = caller.id AND o.order_number = p_number AND o.transfer_id IS NULL
    RETURNING o.id, o.total_minor, o.currency INTO ordered;
    IF ordered.id IS NULL OR ordered.currency <> paid.currency
            OR (paid.used_for = '' AND ordered.total_minor <> paid.amount_minor) THEN
        RAISE EXCEPTION 'not the price of this order' USING ERRCODE = 'KG025', DETAIL = p_number;
    END IF;
    -- Out of a case, a short payment is taken as it is and of a long one no more than the price.
    take := least(paid.amount_minor, ordered.total_minor);
    source := CASE paid.used_for WHEN '' THEN 'channel:' || paid.channel || ':clearing' ELSE 'suspense:' || paid.channel END;
    UPDATE public.receipts_receipt SET used_for = 'SALE' WHERE id = paid.id;

    -- The stock: every hold of the order is taken, and each held code goes to the buyer.
    WITH taken AS (
        UPDATE public.stock_hold h SET state = 'TAKEN', updated_at = p_at
        WHERE h.substation_id = caller.id AND h.order_number = p_number AND h.state = 'HELD'
        RETURNING h.id, h.quantity, h.policy, h.cost_minor
    )
    SELECT count(*) AS holds, sum(t.cost_minor) AS cost, coalesce(sum(t.quantity) FILTER (WHERE t.policy = 'CODES'), 0) AS codes,
           array_agg(t.id) FILTER (WHERE t.policy = 'CODES') AS ids
    INTO held FROM taken t;
    IF held.holds = 0 OR held.holds <> (SELECT count(*) FROM public.stock_hold h
                                        WHERE h.substation_id = caller.id AND h.order_number = p_number) THEN
        RAISE EXCEPTION 'not held' USING ERRCODE = 'KG026', DETAIL = p_number;
    END IF;
    IF held.codes > 0 THEN
        UPDATE public.stock_code c SET state = 'DELIVERED', delivered_at = p_at
        WHERE c.hold_id = ANY (held.ids) AND c.state = 'HELD';
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed <> held.codes THEN
            RAISE EXCEPTION 'not held' USING ERRCODE = 'KG026', DETAIL = p_number;
        END IF;
    END IF;

    -- The legs: all out of the one source, the main station's part not less than what it is owed, and of the shops'
    -- accounts the caller's own alone.
    SELECT coalesce(sum(l.amount_minor) FILTER (WHERE l.account = source), 0) AS source,
           coalesce(sum(l.amount_minor) FILTER (WHERE l.account = 'main:revenue'), 0) AS supply,
           coalesce(sum(l.amount_minor) FILTER (WHERE l.account = 'main:platform_fee'), 0) AS platform,
           coalesce(sum(l.amount_minor) FILTER (WHERE l.account = 'channel:' || paid.channel || ':fee'), 0) AS fee,
           coalesce(bool_or(l.account <> source AND (l.amount_minor >= 0 OR NOT (
               l.account IN ('main:revenue', 'main:platform_fee', 'channel:' || paid.channel || ':fee')
               OR l.account LIKE 'tax:%:payable'
               OR l.account = 'substation:' || caller.id || ':pending'
               OR l.account LIKE 'partner:' || caller.id || ':%:pending'))), true) AS foreign_leg
    INTO sums FROM jsonb_to_recordset(p_legs) AS l(account text, amount_minor bigint);
    IF sums.foreign_leg OR sums.source <> take OR sums.supply <> -held.cost
            OR -sums.platform < (take * caller.platform_fee_bps + 5000) / 10000
            OR (paid.fee_minor IS NOT NULL AND sums.fee <> -paid.fee_minor) THEN
        RAISE EXCEPTION 'not the legs of this sale' USING ERRCODE = 'KG027', DETAIL = p_number;
    END IF;
    SELECT * INTO posted FROM public.ledger_post(
        'sale:' || p_receipt, 'SALE', p_legs, ordered.currency, paid.occurred_at, 'order', p_number, p_rule);
    UPDATE public.receipts_networkorder SET transfer_id = posted.id WHERE id = ordered.id;
    transfer_id := posted.id;
    transfer_public_id := posted.public_id;
    delivered := held.codes;
    RETURN NEXT;
END
$$;
GRANT EXECUTE ON FUNCTION gate.settle_sale(text, text, jsonb, text, text, timestamptz) TO kameng_tenant;
