-- The channels that the caller's buyers may pay through: names, never credentials.
CREATE OR REPLACE FUNCTION gate.channels()
RETURNS TABLE (account_id bigint, public_id text, channel text, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.id, a.public_id::text, a.channel::text, a.name::text
    FROM public.receipts_merchantaccount a
    WHERE a.enabled AND (a.substation_id IS NULL OR a.substation_id = gate.caller_id())
    ORDER BY a.sort, a.id
$$;
GRANT EXECUTE ON FUNCTION gate.channels() TO kameng_tenant;

-- Tell the main station which order a payment belongs to and what was asked for, before the channel is called. The id is
-- one of ours (kameng.lib.ids.public_id): a channel tells of payments that are none of ours, too, by other programs' ids
-- or by none, and those must belong to nobody.
-- KG022 no such channel; KG023 no such order, or not its price; KG029 the channel's fee would eat more than it brings
-- (detail: the order's cost).
CREATE OR REPLACE FUNCTION gate.announce_payment(
    p_payment text, p_number text, p_account bigint, p_amount bigint, p_currency text, p_at timestamptz)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    asked record;
BEGIN
    IF coalesce(p_payment !~ '^pay_[0-9A-HJKMNP-TV-Z]{20}$', true) THEN
        RAISE EXCEPTION 'Not an id of a payment.' USING ERRCODE = 'KG023';
    END IF;
    -- One statement where all is well; what was wrong is looked for afterwards. Asked about after five minutes, should no
    -- callback come.
    INSERT INTO public.receipts_announced (payment_id, substation_id, order_number, account_id, amount_minor, currency,
                                           at, ask_at, ask_count)
    SELECT p_payment, s.id, p_number, a.id, p_amount, p_currency, p_at, p_at + interval '5 minutes', 0
    FROM public.tenants_substation s
    JOIN public.receipts_networkorder o ON o.substation_id = s.id AND o.order_number = p_number
        AND o.currency = p_currency AND o.total_minor = p_amount
    JOIN public.receipts_merchantaccount a ON a.id = p_account AND a.enabled
        AND (a.substation_id IS NULL OR a.substation_id = s.id)
    WHERE s.schema_name = current_setting('role');
    IF FOUND THEN
        SELECT a.channel::text, t.terms, (SELECT sum(h.cost_minor)::bigint FROM public.stock_hold h
            WHERE h.substation_id = t.substation_id AND h.order_number = p_number) AS cost INTO asked
        FROM gate.sale_terms(clock_timestamp()) t JOIN public.receipts_merchantaccount a ON a.id = p_account;
        IF p_amount - asked.cost - public.splits_share(p_amount, (asked.terms ->> 'tax_bps')::bigint)
                - public.splits_channel_fee(asked.terms, asked.channel, p_amount) < 0 THEN
            RAISE EXCEPTION 'The channel costs more than the order brings.'
                USING ERRCODE = 'KG029', DETAIL = asked.cost::text;
        END IF;
    ELSE
        IF NOT EXISTS (SELECT 1 FROM public.receipts_merchantaccount a WHERE a.id = p_account AND a.enabled
                       AND (a.substation_id IS NULL OR a.substation_id = gate.caller_id())) THEN
            RAISE EXCEPTION 'No such channel.' USING ERRCODE = 'KG022';
        END IF;
        RAISE EXCEPTION 'No such order.' USING ERRCODE = 'KG023';
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION gate.announce_payment(text, text, bigint, bigint, text, timestamptz) TO kameng_tenant;

-- Note a state of the caller's order that no other gate function notes: a paid one is delivered by hand, a sold one is
-- refunded when its refund has been asked for. KG016: anything else, which would be the shop's word alone.
CREATE OR REPLACE FUNCTION gate.note_order(p_number text, p_state text, p_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    caller bigint := gate.caller_id();
BEGIN
    UPDATE public.receipts_networkorder o SET state = p_state, updated_at = p_at
    WHERE o.substation_id = caller AND o.order_number = p_number AND (
        (p_state = 'DELIVERED' AND o.state = 'PAID')
        OR (p_state = 'REFUNDED' AND o.state IN ('PAID', 'DELIVERED') AND EXISTS (
            SELECT 1 FROM public.receipts_refund r WHERE r.substation_id = caller AND r.order_number = p_number
            AND r.purpose = 'ORDER' AND r.state <> 'FAILED')));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'not a state that follows' USING ERRCODE = 'KG016', DETAIL = coalesce(p_number, '');
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION gate.note_order(text, text, timestamptz) TO kameng_tenant;
