-- Post one sale: the only way from a channel's receipt to a shop's income. Everything that the caller hands over is
-- checked against what the main station knows itself: the receipt, the holds, the terms in force.
--
-- p_codes, p_amounts: the legs, signed, debit positive, as shared_apps.splits makes them. p_rule: the version of the
-- terms. p_state: PAID, or DELIVERED where no line waits for a person.
-- KG024 no such receipt for this order, or used already; KG025 the receipt is not the order's price; KG026 the stock is
-- not held (any more); KG027 a leg that this sale may not have.
DROP FUNCTION IF EXISTS gate.settle_sale(text, text, jsonb, text, text, timestamptz);

DROP FUNCTION IF EXISTS public.receipts_terms(bigint, timestamptz);

-- The caller's terms at one moment, for the arithmetic of a sale: the rule in force, and the platform's share. That is
-- the rule's for the plan where it names the plan, else the plan's own, which is the one that its owner was shown.
CREATE OR REPLACE FUNCTION gate.sale_terms(p_at timestamptz)
RETURNS TABLE (substation_id bigint, rule integer, platform_bps integer, terms jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT s.id, r.version, coalesce((r.plan_fees ->> pl.code)::integer, pl.platform_fee_bps),
           jsonb_build_object('version', r.version, 'channel_fees', r.channel_fees, 'partner_bps', r.partner_bps,
                              'outlet_bps', r.outlet_bps, 'agent_bps', r.agent_bps, 'tax_bps', r.tax_bps)
    FROM public.tenants_substation s
    JOIN public.tenants_plan pl ON pl.id = s.plan_id
    LEFT JOIN LATERAL (SELECT x.* FROM public.splits_splitrule x WHERE x.effective_at <= p_at
                       ORDER BY x.effective_at DESC, x.version DESC LIMIT 1) r ON true
    WHERE s.schema_name = current_setting('role');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Only a substation may call this.' USING ERRCODE = 'KG001';
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION gate.sale_terms(timestamptz) TO kameng_tenant;

CREATE OR REPLACE FUNCTION gate.settle_sale(
    p_number text, p_receipt text, p_codes text[], p_amounts bigint[], p_rule integer, p_state text, p_at timestamptz)
RETURNS TABLE (transfer_id bigint, transfer_public_id text, delivered integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule record;
    caller bigint;
    paid record;
    ordered record;
    source text;
    take bigint;
    held record;
    changed integer;
    sums record;
    rest bigint;
BEGIN
    IF coalesce(p_state, '') NOT IN ('PAID', 'DELIVERED') THEN
        RAISE EXCEPTION 'A sale ends paid or delivered.' USING ERRCODE = 'KG025';
    END IF;
    SELECT s.id INTO caller FROM public.tenants_substation s WHERE s.schema_name = current_setting('role');
    IF caller IS NULL THEN
        RAISE EXCEPTION 'Only a substation may call this.' USING ERRCODE = 'KG001';
    END IF;

    -- The receipt: this order's, and not used for anything yet unless a person approved its case. Taking it locks it, so
    -- that a second sale waits here and then finds it used.
    UPDATE public.receipts_receipt r SET used_for = 'SALE'
    WHERE r.public_id = p_receipt AND r.substation_id = caller AND r.order_number = p_number AND r.kind = 'PAID'
      AND r.used_for IN ('', 'CASE')
    RETURNING r.id, r.channel, r.amount_minor, r.currency, r.fee_minor, old.used_for AS used_before, r.occurred_at INTO paid;
    IF paid.id IS NULL OR (paid.used_before = 'CASE' AND NOT EXISTS (
            SELECT 1 FROM public.receipts_paymentcase c
            WHERE c.receipt_id = paid.id AND c.state = 'SETTLING' AND c.resolution = 'DELIVER')) THEN
        RAISE EXCEPTION 'no such receipt' USING ERRCODE = 'KG024', DETAIL = coalesce(p_receipt, '');
    END IF;
    UPDATE public.receipts_networkorder o SET state = p_state, paid_at = p_at, updated_at = p_at
    WHERE o.substation_id = caller AND o.order_number = p_number AND o.paid_at IS NULL
    RETURNING o.id, o.total_minor, o.currency INTO ordered;
    IF ordered.id IS NULL OR ordered.currency <> paid.currency
            OR (paid.used_before = '' AND ordered.total_minor <> paid.amount_minor) THEN
        RAISE EXCEPTION 'not the price of this order' USING ERRCODE = 'KG025', DETAIL = p_number;
    END IF;
    -- Out of a case, a short payment is taken as it is, and of a long one no more than the price.
    take := least(paid.amount_minor, ordered.total_minor);
    source := CASE paid.used_before WHEN '' THEN 'channel:' || paid.channel || ':clearing'
              ELSE 'suspense:' || paid.channel END;

    -- The stock: every hold of the order is taken, and each held code goes to the buyer.
    WITH taken AS (
        UPDATE public.stock_hold h SET state = 'TAKEN', updated_at = p_at
        WHERE h.substation_id = caller AND h.order_number = p_number
        RETURNING h.id, h.quantity, h.policy, h.cost_minor, old.state AS state_before
    )
    SELECT coalesce(bool_and(t.state_before = 'HELD'), false) AS whole, sum(t.cost_minor) AS cost,
           coalesce(sum(t.quantity) FILTER (WHERE t.policy = 'CODES'), 0) AS codes,
           array_agg(t.id) FILTER (WHERE t.policy = 'CODES') AS ids
    INTO held FROM taken t;
    IF NOT held.whole THEN
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

    -- The legs, each account once, so that nothing passes through one that is not in its sum: the whole price out of the
    -- one source; to the main station, the channel and the tax what the terms in force say, to the cent (a share may be
    -- rounded up); of the shops' accounts to the caller's own alone, which gets what is left.
    SELECT t.rule, t.platform_bps, t.terms INTO rule FROM gate.sale_terms(paid.occurred_at) t;
    SELECT coalesce(sum(l.amount) FILTER (WHERE l.code = source), 0) AS source,
           coalesce(sum(l.amount) FILTER (WHERE l.code = 'main:revenue'), 0) AS supply,
           coalesce(sum(l.amount) FILTER (WHERE l.code = 'main:platform_fee'), 0) AS platform,
           coalesce(sum(l.amount) FILTER (WHERE l.code = 'channel:' || paid.channel || ':fee'), 0) AS fee,
           coalesce(sum(l.amount) FILTER (WHERE l.code = 'tax:cn:payable'), 0) AS tax,
           coalesce(-sum(l.amount) FILTER (WHERE l.code LIKE 'partner:%'), 0) AS partner,
           coalesce(bool_or(coalesce(NOT (l.code = source OR l.code = 'substation:' || caller || ':pending'
               OR (l.amount < 0 AND (l.code IN ('main:revenue', 'main:platform_fee', 'tax:cn:payable',
                                                'channel:' || paid.channel || ':fee')
                                     OR l.code LIKE 'partner:' || caller || ':%:pending'))) OR l.amount IS NULL, true)), true)
               AS foreign_leg,
           count(*) <> count(DISTINCT l.code) AS twice
    INTO sums FROM unnest(p_codes, p_amounts) AS l(code, amount);
    rest := greatest(take + sums.supply + sums.fee + sums.tax, 0);
    IF sums.foreign_leg OR sums.twice OR sums.source <> take OR sums.supply <> -held.cost OR p_rule IS DISTINCT FROM rule.rule
            OR sums.fee <> -coalesce(paid.fee_minor, public.splits_channel_fee(rule.terms, paid.channel, take))
            OR sums.tax <> -public.splits_share(take, (rule.terms ->> 'tax_bps')::bigint)
            OR -sums.platform NOT BETWEEN div(rest::numeric * rule.platform_bps, 10000)
                                      AND ceil(rest::numeric * rule.platform_bps / 10000)
            OR sums.partner NOT BETWEEN 0 AND ceil(rest::numeric * (rule.terms ->> 'partner_bps')::integer / 10000) THEN
        RAISE EXCEPTION 'not the legs of this sale' USING ERRCODE = 'KG027', DETAIL = p_number;
    END IF;
    SELECT l.transfer_id, l.public_id INTO transfer_id, transfer_public_id
    FROM public.ledger_post('sale:' || p_receipt, 'sale', 'order', p_number, caller, paid.occurred_at, p_codes, p_amounts,
                            ARRAY[ordered.currency]::text[], p_rule,
                            jsonb_build_object('platform_bps', rule.platform_bps)) l;
    delivered := held.codes;
    RETURN NEXT;
END
$$;
GRANT EXECUTE ON FUNCTION gate.settle_sale(text, text, text[], bigint[], integer, text, timestamptz) TO kameng_tenant;
