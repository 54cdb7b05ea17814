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

-- Tell the main station which order a payment belongs to and what was asked for, before the channel is called.
CREATE OR REPLACE FUNCTION gate.announce_payment(
    p_payment text, p_number text, p_account bigint, p_amount bigint, p_currency text, p_at timestamptz)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
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
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT 1 FROM public.receipts_merchantaccount a WHERE a.id = p_account AND a.enabled
                       AND (a.substation_id IS NULL OR a.substation_id = gate.caller_id())) THEN
            RAISE EXCEPTION 'No such channel.' USING ERRCODE = 'KG022';
        END IF;
        RAISE EXCEPTION 'No such order.' USING ERRCODE = 'KG023';
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION gate.announce_payment(text, text, bigint, bigint, text, timestamptz) TO kameng_tenant;

-- Note a state of the caller's order that no other gate function notes.
CREATE OR REPLACE FUNCTION gate.note_order(p_number text, p_state text, p_at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE public.receipts_networkorder SET state = p_state, updated_at = p_at
    WHERE substation_id = gate.caller_id() AND order_number = p_number
$$;
GRANT EXECUTE ON FUNCTION gate.note_order(text, text, timestamptz) TO kameng_tenant;
