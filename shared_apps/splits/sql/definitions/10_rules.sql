-- A version of the terms is written once: every sale names the one it was split by.
CREATE OR REPLACE FUNCTION public.splits_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'Terms are not changed: make another version.' USING ERRCODE = 'KG114';
END
$$;

CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.splits_splitrule
    FOR EACH STATEMENT EXECUTE FUNCTION public.splits_refuse_change();
