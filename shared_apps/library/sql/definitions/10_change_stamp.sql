-- Each library row carries the id of the transaction that last changed it. Substations sync by it, fenced by
-- pg_snapshot_xmin: ids and times alone would skip a row whose writer commits late (docs/tenancy.md).
DO $define$
DECLARE
    library_table text;
BEGIN
    FOREACH library_table IN ARRAY ARRAY['category', 'brand', 'product', 'sku', 'supplyprice'] LOOP
        EXECUTE format(
            'ALTER TABLE public.library_%s ADD COLUMN IF NOT EXISTS changed_xid xid8 NOT NULL DEFAULT pg_current_xact_id()',
            library_table);
        EXECUTE format(
            'CREATE INDEX IF NOT EXISTS library_%1$s_changed ON public.library_%1$s (changed_xid)', library_table);
    END LOOP;
END
$define$;

CREATE OR REPLACE FUNCTION public.stamp_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_xid := pg_current_xact_id();
    RETURN NEW;
END
$$;

-- Of private prices each shop asks for its own alone.
ALTER TABLE public.library_privateprice
    ADD COLUMN IF NOT EXISTS changed_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX IF NOT EXISTS library_privateprice_changed_of ON public.library_privateprice (substation_id, changed_xid);

-- A supply price that goes away is a change of its SKU.
CREATE OR REPLACE FUNCTION public.stamp_sku_of_supply_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.library_sku SET changed_xid = pg_current_xact_id() WHERE id = OLD.sku_id;
    RETURN OLD;
END
$$;

DO $define$
DECLARE
    library_table text;
BEGIN
    FOREACH library_table IN ARRAY ARRAY['category', 'brand', 'product', 'sku', 'supplyprice', 'privateprice'] LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER stamp_change BEFORE UPDATE ON public.library_%s FOR EACH ROW
             WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION public.stamp_change()', library_table);
    END LOOP;
END
$define$;

CREATE OR REPLACE TRIGGER stamp_sku AFTER DELETE ON public.library_supplyprice
    FOR EACH ROW EXECUTE FUNCTION public.stamp_sku_of_supply_price();

-- A dump carries the stamps of the cluster that it came from. In a younger cluster they would lie in the future, and
-- every sync would read these rows at every tick until its transactions had counted that far.
DO $define$
DECLARE
    library_table text;
BEGIN
    FOREACH library_table IN ARRAY ARRAY['category', 'brand', 'product', 'sku', 'supplyprice', 'privateprice'] LOOP
        EXECUTE format(
            'UPDATE public.library_%s SET changed_xid = pg_current_xact_id() WHERE changed_xid > pg_current_xact_id()',
            library_table);
    END LOOP;
END
$define$;
UPDATE public.tenants_syncstate SET watermark = 0
WHERE feed IN ('LIBRARY', 'STOCK') AND watermark > pg_current_xact_id()::text::bigint;
