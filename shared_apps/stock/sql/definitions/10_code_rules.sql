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
