-- Append a fact, or find its id. A payment counts for the order that announced it on this very account: a fact of another
-- account that names it belongs to nobody. `fresh` is false when it had been recorded before.
-- Race: the same fact told by two callbacks at once. The second insert waits for the first one's commit, writes nothing,
-- and reads what the first did with it.
DROP FUNCTION IF EXISTS public.receipts_record_fact(text, bigint, text, text, text, text, text, bigint, text, bigint, text,
    text, timestamptz, timestamptz);
CREATE FUNCTION public.receipts_record_fact(
    p_public_id text, p_account bigint, p_channel text, p_fact text, p_kind text, p_payment text, p_ref text,
    p_amount bigint, p_currency text, p_fee bigint, p_refund text, p_detail text, p_occurred timestamptz, p_at timestamptz)
RETURNS TABLE (id bigint, substation_id bigint, schema_name text, order_number text, fresh boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    who record;
    made bigint;
BEGIN
    -- An erased shop has no tables any more in which its order could be paid: its money becomes a case.
    SELECT a.substation_id, a.order_number, CASE WHEN s.state = 'ERASED' THEN '' ELSE s.schema_name END AS schema_name INTO who
    FROM public.receipts_announced a JOIN public.tenants_substation s ON s.id = a.substation_id
    WHERE a.payment_id = p_payment AND a.account_id = p_account;
    INSERT INTO public.receipts_receipt AS r (public_id, account_id, channel, fact_id, kind, payment_id, channel_ref,
        substation_id, order_number, amount_minor, currency, fee_minor, refund_id, detail, occurred_at, recorded_at, used_for)
    VALUES (p_public_id, p_account, p_channel, p_fact, p_kind, p_payment, p_ref, who.substation_id,
        coalesce(who.order_number, ''), p_amount, p_currency, p_fee, p_refund, p_detail, p_occurred, p_at, '')
    ON CONFLICT (account_id, fact_id) DO NOTHING RETURNING r.id INTO made;
    IF made IS NOT NULL THEN
        RETURN QUERY SELECT made, who.substation_id, coalesce(who.schema_name, '')::text,
            coalesce(who.order_number, '')::text, true;
        RETURN;
    END IF;
    RETURN QUERY SELECT r.id, NULL::bigint, ''::text, ''::text, false
    FROM public.receipts_receipt r WHERE r.account_id = p_account AND r.fact_id = p_fact;
END
$$;
GRANT EXECUTE ON FUNCTION public.receipts_record_fact(text, bigint, text, text, text, text, text, bigint, text, bigint,
    text, text, timestamptz, timestamptz) TO kameng_main;
