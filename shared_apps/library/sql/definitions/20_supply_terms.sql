-- What a substation pays for a unit of each SKU: its private price in force, else its plan's. THE one place that says so:
-- the sync of the shops' listings and the checkout's gate ask it, so that what is shown is what is booked. A SKU that
-- neither prices has no row, and is not for sale in that shop.
--
-- Plain SQL, STABLE, without SECURITY DEFINER and without SET: so the planner puts its body into the caller's query, where
-- it is two left joins (by hash for a whole library, by index for the lines of an order) and costs nothing when the shop
-- has no private price. `sku` is the library's row, for whoever wants all of it: joined once more, it would be read twice.
-- It runs with the caller's rights; no shop's role may execute it, nor read what it reads.
CREATE OR REPLACE FUNCTION public.supply_terms(p_substation bigint, p_level text, p_at timestamptz)
RETURNS TABLE (sku_id bigint, unit numeric, private boolean, sku public.library_sku)
LANGUAGE sql STABLE AS $$
    SELECT k.id, coalesce(own.unit, sp.unit), own.unit IS NOT NULL, k
    FROM public.library_sku k
    LEFT JOIN public.library_supplyprice sp ON sp.sku_id = k.id AND sp.level = p_level
    LEFT JOIN public.library_privateprice own ON own.sku_id = k.id AND own.substation_id = p_substation
        AND own.starts_at <= p_at AND (own.ends_at IS NULL OR own.ends_at > p_at)
    WHERE own.unit IS NOT NULL OR sp.unit IS NOT NULL
$$;
GRANT EXECUTE ON FUNCTION public.supply_terms(bigint, text, timestamptz) TO kameng_main, kameng_sync;
