-- The life of a code, held by the database: nothing leads back from delivered.
CREATE OR REPLACE FUNCTION public.refuse_code_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'A code is never deleted.' USING ERRCODE = 'KG012';
    END IF;
    RAISE EXCEPTION 'A code may not go from % to %.', OLD.state, NEW.state USING ERRCODE = 'KG012';
END
$$;

CREATE OR REPLACE TRIGGER refuse_transition BEFORE UPDATE OF state, sku_id, hold_id ON public.stock_code FOR EACH ROW
WHEN (
    OLD.sku_id <> NEW.sku_id
    OR (OLD.state = NEW.state AND OLD.hold_id IS DISTINCT FROM NEW.hold_id)
    OR (OLD.state <> NEW.state AND NOT (
        (OLD.state = 'AVAILABLE' AND NEW.state IN ('HELD', 'VOID'))
        OR (OLD.state = 'HELD' AND NEW.state = 'AVAILABLE')
        OR (OLD.state = 'HELD' AND NEW.state = 'DELIVERED' AND OLD.hold_id = NEW.hold_id)))
)
EXECUTE FUNCTION public.refuse_code_change();

CREATE OR REPLACE TRIGGER refuse_delete BEFORE DELETE ON public.stock_code FOR EACH ROW
EXECUTE FUNCTION public.refuse_code_change();

CREATE SEQUENCE IF NOT EXISTS public.stock_code_position AS bigint;
GRANT USAGE ON SEQUENCE public.stock_code_position TO kameng_main;
ALTER TABLE public.stock_code ALTER COLUMN position SET DEFAULT nextval('public.stock_code_position');

-- What changed of the stock levels, for the syncs.
ALTER TABLE public.stock_stocklevel
    ADD COLUMN IF NOT EXISTS changed_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX IF NOT EXISTS stock_stocklevel_changed ON public.stock_stocklevel (changed_xid);
CREATE OR REPLACE TRIGGER stamp_change BEFORE UPDATE ON public.stock_stocklevel FOR EACH ROW
WHEN (OLD.state IS DISTINCT FROM NEW.state OR OLD.available IS DISTINCT FROM NEW.available)
EXECUTE FUNCTION public.stamp_change();

-- A new SKU, and one whose stock policy or low-stock mark changed, is counted anew by the roll-up.
CREATE OR REPLACE FUNCTION public.note_new_skus() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.stock_stockmove (sku_id) SELECT id FROM made;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER note_new_skus AFTER INSERT ON public.library_sku
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION public.note_new_skus();

CREATE OR REPLACE FUNCTION public.note_changed_skus() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.stock_stockmove (sku_id)
    SELECT n.id FROM now_is n JOIN was o ON o.id = n.id
    WHERE (n.stock_policy, n.low_stock_at) IS DISTINCT FROM (o.stock_policy, o.low_stock_at);
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER note_changed_skus AFTER UPDATE ON public.library_sku
    REFERENCING OLD TABLE AS was NEW TABLE AS now_is FOR EACH STATEMENT EXECUTE FUNCTION public.note_changed_skus();
