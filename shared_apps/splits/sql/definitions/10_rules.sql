-- A version of the terms is written once: every sale names the one it was split by.
CREATE OR REPLACE FUNCTION public.splits_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'Terms are not changed: make another version.' USING ERRCODE = 'KG114';
END
$$;

-- What `p_bps` ten-thousandths of an amount are, rounded half up: kameng.lib.money.share_bps_minor.
CREATE OR REPLACE FUNCTION public.splits_share(p_amount bigint, p_bps bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT div(p_amount::numeric * coalesce(p_bps, 0) + 5000, 10000)::bigint
$$;

-- What the terms expect a channel to keep of an amount: shared_apps.splits.arithmetic.channel_fee_minor. A channel that
-- they do not name keeps nothing.
CREATE OR REPLACE FUNCTION public.splits_channel_fee(p_terms jsonb, p_channel text, p_amount bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT public.splits_share(p_amount, (f ->> 'bps')::bigint) + coalesce((f ->> 'fixed_minor')::bigint, 0)
    FROM (SELECT p_terms -> 'channel_fees' -> p_channel AS f) x
$$;

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.splits_splitrule
    FOR EACH STATEMENT EXECUTE FUNCTION public.splits_refuse_change();
